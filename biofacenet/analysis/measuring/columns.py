"""The columns of the table of measurements: unit, definition, equation and source of each."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BY_NAME", "COLUMNS", "ITA_CLASSES", "Column", "ita_class"]


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    unit: str
    """Empty for text and numbers without one."""
    definition: str
    equation: str = ""
    """In plain text; where the definition says it all, none."""
    source: str = ""
    decimals: int | None = None
    """Digits behind the point of numbers; None for text."""
    is_path: bool = False
    """Whether it holds the path of a file."""


MODEL = "Alotaibi and Smith, BMVC 2019; constants of the measured skin: docs/skin.md"
DIFFEY = "Diffey, Oliver and Farr, British Journal of Dermatology 111, 1984"
TAKIWAKI = (
    "Takiwaki, Overgaard and Serup, Skin Pharmacology 7, 1994; "
    "Shriver and Parra, American Journal of Physical Anthropology 112, 2000"
)
LAB = "CIE 15:2018; reflectance of the skin model at 400 to 720 nm"
CHARDON = "Chardon, Cretois and Hourseau, International Journal of Cosmetic Science 13, 1991"
DEL_BINO = "Del Bino and Bernerd, British Journal of Dermatology 169, 2013"

ITA_CLASSES = (
    (55.0, "very light"),
    (41.0, "light"),
    (28.0, "intermediate"),
    (10.0, "tan"),
    (-30.0, "brown"),
)
"""Degrees above which a class is; at or below the last, dark."""


def ita_class(degrees: float) -> str:
    """The class of skin colour of an individual typology angle (Del Bino and Bernerd 2013)."""
    return next((name for above, name in ITA_CLASSES if degrees > above), "dark")


def _pigment(name: str, what: str, axis: str) -> tuple[Column, ...]:
    column = f"{name}_percent"

    def own(suffix: str, definition: str, equation: str = "") -> Column:
        return Column(f"{column}{suffix}", "%", definition, equation, MODEL, 3)

    return (
        own("", f"Volume of {what}: median over the pixels of the region.", axis),
        own("_q1", "The same, first quartile over the pixels: a quarter of them has less."),
        own(
            "_q3", "The same, third quartile over the pixels. Q3 - Q1 says how uneven the skin is."
        ),
        own(
            "_low",
            "Lower end of the 68 % interval of the median: how sure it is, given that light, camera and "
            "overall level are not known. Regions of a face share most of this uncertainty.",
        ),
        own("_high", "Upper end of that interval."),
    )


def _spots(name: str, pigment: str) -> tuple[Column, ...]:
    return (
        Column(
            f"{name}_spots",
            "",
            f"Number of spots of {pigment}: connected pixels with clearly more of it than the skin "
            "around. Of the whole skin, those of forehead, cheeks, nose, chin and around the eyes together. "
            "Empty for lips, and where the eyes are fewer than 100 pixels apart.",
            "more than 1.25 times, and more than 4 robust standard deviations above, the Gaussian mean "
            "of the region's pixels within a fifth of the distance of the eyes",
            decimals=0,
        ),
        Column(
            f"{name}_spots_area_percent", "%", "Share of the region that these take.", decimals=3
        ),
        Column(
            f"{name}_spots_contrast_percent",
            "%",
            f"By how much {pigment} in the spots is above that of the skin around: median over their "
            "pixels. Empty without spots.",
            "100 (in the spot / around it - 1)",
            decimals=1,
        ),
    )


def _asymmetry(name: str) -> Column:
    return Column(
        f"{name}_asymmetry_percent",
        "%",
        f"Difference of median {name} between the person's left and right half, relative to their mean: "
        "above 0 where the left half has more. For cheeks, of both cheeks, in both rows. Light from one "
        "side adds to it.",
        "200 (left - right) / (left + right)",
        decimals=2,
    )


COLUMNS: tuple[Column, ...] = (
    Column("photo", "", "Path of the photo or video, as given.", is_path=True),
    Column("seconds", "s", "Of a video, when the frame is shown. Empty for photos.", decimals=3),
    Column("face", "", "Number of the face in the photo; 1 is the largest.", decimals=0),
    Column("faces", "", "How many faces were found in the photo.", decimals=0),
    Column("region", "", "Part of the face, see Regions. Empty where nothing was measured."),
    Column("problem", "", "Why there are no numbers, in words. Empty where there are."),
    Column("warnings", "", "What to be careful about, see Warnings; separated by semicolons."),
    Column(
        "pixels",
        "",
        "Pixels of the region that were used, at the resolution of the maps.",
        decimals=0,
    ),
    *_pigment(
        "melanosomes",
        "melanosomes, the grains of melanin, in the epidermis",
        "43 u^3, u = 0.01 + 0.99 (v + 1) / 2, v the value of the melanin map",
    ),
    *_pigment(
        "blood",
        "blood in the dermis",
        "7 u^3, u likewise of the haemoglobin map",
    ),
    Column(
        "melanin_index",
        "",
        "Melanin index of the skin as the model reflects, without shading and highlights: median over "
        "the pixels.",
        "100 log10(1 / R(655 nm))",
        TAKIWAKI,
        2,
    ),
    Column(
        "erythema_index",
        "",
        "Erythema index, the index of haemoglobin, of the same reflectance: median over the pixels.",
        "100 log10(R(655 nm) / R(568 nm))",
        f"{DIFFEY}; {TAKIWAKI}",
        2,
    ),
    Column(
        "erythema_index_rgb",
        "",
        "The same of the photo's own colours, without the model: median over the pixels. Comparable "
        "among photos of one camera and light only.",
        "100 log10(R / G), linear sRGB",
        DIFFEY,
        2,
    ),
    Column(
        "lab_l",
        "",
        "CIELAB lightness L* of the skin as the model reflects, under D65 to the 1931 2-degree observer, "
        "without shading and highlights, but with what the skin's surface always returns, as an "
        "instrument measures with the specular component included: median over the pixels.",
        "116 f(Y) - 16",
        LAB,
        2,
    ),
    Column("lab_a", "", "a*, green to red, likewise.", "500 (f(X) - f(Y))", LAB, 2),
    Column("lab_b", "", "b*, blue to yellow, likewise.", "200 (f(Y) - f(Z))", LAB, 2),
    Column(
        "ita_degrees",
        "degrees",
        "Individual typology angle of these medians: high for light skin.",
        "180 / pi atan2(L* - 50, b*)",
        CHARDON,
        1,
    ),
    Column(
        "ita_class",
        "",
        "Class of that angle: very light above 55, light above 41, intermediate above 28, tan above 10, "
        "brown above -30, dark below.",
        source=f"{CHARDON}; {DEL_BINO}",
    ),
    Column(
        "redness_spread",
        "",
        "How uneven the redness is: distance of the quartiles of a* over the pixels.",
        "Q3(a*) - Q1(a*)",
        decimals=2,
    ),
    *_spots("melanin", "melanin"),
    *_spots("blood", "blood"),
    _asymmetry("melanosomes"),
    _asymmetry("blood"),
    Column(
        "highlights_percent",
        "%",
        "Share of the region's pixels in which more than a quarter of the light comes from the surface: "
        "highlights, of grease, sweat or flash.",
        decimals=2,
    ),
    Column(
        "surface_light_percent",
        "%",
        "Share of all light of the region that comes from the surface, of the specular map.",
        "100 sum(specular k) / sum(Y), k the luminance of a highlight of 1, Y that rendered",
        decimals=2,
    ),
    Column(
        "light_cct_kelvin",
        "K",
        "Correlated colour temperature of the light on the face.",
        source="CIE 15:2018, section 9.5",
        decimals=0,
    ),
    Column("light_cct_kelvin_low", "K", "Lower end of its 68 % interval.", decimals=0),
    Column("light_cct_kelvin_high", "K", "Upper end.", decimals=0),
    Column(
        "light_from",
        "",
        "Where that is from: photo; white, a reference in the photo; or prior, where the method is no "
        "better than one who does not look at the photo.",
    ),
    Column(
        "level",
        "",
        "What melanosomes, blood, CIELAB and indices stand for: absolute, where it is known what white is; "
        "relative, where only the colour of the photo and what is usual tell: compare them within a photo, "
        "or between photos of one light, camera and exposure.",
    ),
    Column(
        "white",
        "",
        "What white was taken to be: its kind, box, reflectance, and the linear sRGB of a perfect white "
        "there. Empty without one.",
    ),
    Column(
        "eye_distance_pixels",
        "pixels",
        "Distance of the eyes in the photo: how much of the face it can show.",
        decimals=1,
    ),
    Column(
        "turned_degrees",
        "degrees",
        "By how much the face is turned to its own left (above 0) or right, roughly, by the normals of "
        "forehead, nose, cheeks, chin and below the eyes. Empty where the method tells no normals.",
        "180 / pi atan2(mean of x, mean of z) / 0.72",
        decimals=1,
    ),
    Column("method", "", "What the maps are from."),
    Column("biofacenet_version", "", "Version of the software."),
)
"""In the order of the table."""

BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
