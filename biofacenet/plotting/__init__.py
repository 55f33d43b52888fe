"""Pictures: coloured maps, sheets, grids, plots."""
