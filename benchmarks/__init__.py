"""Side-by-side measurements: ``python -m benchmarks [NAME ...]`` prints tables and writes them to ``results``.

Peers run in the same process, turn by turn (A B A B), and the best of the repeats counts: noise only ever adds time.
"""
