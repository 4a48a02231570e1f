"""Checks of whole pool files: their structure, and what an operator may ask."""
