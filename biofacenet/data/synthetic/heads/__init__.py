"""Heads of a statistical head model, which a user names: ICT-FaceKit, as published or packed."""
