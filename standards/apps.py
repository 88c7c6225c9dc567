import sys

from django.apps import AppConfig


class StandardsConfig(AppConfig):
    name = "standards"
    label = "standards"
    verbose_name = "Rule packs"

    def ready(self) -> None:
        """A deadline nobody can vouch for is worse than no start: a bad pack stops the process here."""
        from standards import loader  # the app registry must be ready first

        try:
            loader.load()
        except loader.PackError as bad:
            sys.exit(str(bad))
