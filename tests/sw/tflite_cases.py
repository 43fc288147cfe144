"""Small TFLite models, one per operator and form, for which TFLite's reference kernels have been asked.

The answers are in tflite_reference.npz, and tflite_record.py is how they came there.
"""

from tests.sw import tflite_cases_linear, tflite_cases_other
from tests.sw.tflite_case import CASES, Case

__all__ = ["CASES", "Case", "tflite_cases_linear", "tflite_cases_other"]
