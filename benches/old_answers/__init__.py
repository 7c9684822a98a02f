"""One job, done in the ways that people recommend: ten functions over one array, five at a time, into one dict.

Each module does it in one way: `answer(x)` returns the dict. `benches/answers.py` measures them, and
`docs/multiprocessing.md` shows them.
"""
