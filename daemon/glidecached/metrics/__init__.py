"""The HTTP interface for monitoring: Prometheus' metrics, health, a status page.

`prometheus` and `page_data` present the figures of `glidecached.stats`. `application` answers requests, `http_server`
carries them, `endpoint` joins all parts.
Figures are taken at most once a second, and one thread at a time makes answers from them.
"""
