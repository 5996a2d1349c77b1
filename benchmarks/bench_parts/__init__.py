"""The parts of ``benchmarks/bench.py``, one small file each."""
