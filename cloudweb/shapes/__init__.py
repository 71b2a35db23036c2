"""Wire shapes, declared once a noun: JSON and XML, in and out."""
