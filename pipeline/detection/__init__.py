"""Detection of faces and of shot changes in frames.

May import the engines and the top-level modules of `pipeline`. Begin at `face_detector.py`; `detection_schedule.py`
says when the detector runs, `shot_detector.py` finds cuts.
"""
