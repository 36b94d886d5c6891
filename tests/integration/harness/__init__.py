"""__init__.py - the real daemon and real servers, each in its own folder and stopped by its own pid."""
