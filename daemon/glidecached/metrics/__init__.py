"""Seeing the daemon from outside, over HTTP: figures for Prometheus, its health, a status page.

`snapshots` takes the daemon's numbers in the loop's thread; `history` keeps a past of them; `exposition` and `summary`
say them as Prometheus and as the page read them: `negotiation` in which form, `totals` so that no counter falls.
`application` answers requests, `http_server` carries them, and `listener` is the whole of it. Browsers and scrapers
slow little down: numbers are taken at most once a second for them, and one thread at a time makes answers of these.
"""
