"""Decontamination: which rows hold a picture or a question of an evaluation set.

An index holds hashes of evaluation sets and none of their content (`index`); it is made once from a user's copies
(`build`). Rows are matched against it (`matching`), generic questions are told from telling ones by how many different
pictures they are asked about (`judge`), and a table says what each source leaks of each benchmark.
"""
