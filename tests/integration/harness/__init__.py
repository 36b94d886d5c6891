"""__init__.py - the real daemon and real servers, each in its own folder, stopped by its pid."""
