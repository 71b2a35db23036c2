"""Regions of the federation: Keystone v3, Nova's flavors, and the identity manager KeyRock."""
