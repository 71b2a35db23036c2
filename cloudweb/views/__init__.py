"""HTTP: a view is one sentence; what it may do is the domain's business."""
