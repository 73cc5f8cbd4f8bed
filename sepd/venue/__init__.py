"""Practice venue: a server that speaks OANDA v20 over a recorded tape.

The account (`engine` and what it uses) is pure and synchronous; `app`, `conductor` and `streams`
are the shell that gives it a socket and a pace. It never makes up a price: between two recorded
quotes nothing happens.
"""
