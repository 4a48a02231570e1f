"""Figures for people and programs: snapshots, history, percentiles, labels, formats."""
