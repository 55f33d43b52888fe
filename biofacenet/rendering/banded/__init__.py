"""Folding and rendering apart, band by band: the operator of the GPU kernels until they half-fold."""
