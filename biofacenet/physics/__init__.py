"""The physics that the renderer rests on, one module an idea.

========================  ===========================================================
`spectra`                 the wavelength axis and the figure files
`skin`                    reflectance of skin from melanin and haemoglobin
`illuminant`              spectra of light
`camera`                  spectral sensitivities of cameras
`colour`                  raw values to XYZ to sRGB
`lighting`                shading of normals under spherical harmonic lighting
`tables`                  everything the renderer reads, computed or from the authors
========================  ===========================================================
"""
