"""What every program needs: files, settings, devices, workers, the console."""
