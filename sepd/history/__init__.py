"""Recorded history on disk: download, import, verify, export."""
