//! Counts, the bigram model, tasks and batches, on NumPy's random streams.
