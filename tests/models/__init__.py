"""Whole models for tests and benchmarks: how they are made, where they lie, what they must answer.

`catalog` describes every model once, without needing torch; `networks` defines the networks in torch; `build` makes
the files; `check` compares answers.
"""
