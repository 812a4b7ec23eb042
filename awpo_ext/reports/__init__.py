"""Reports for people: pages, figures, a run's summary."""
