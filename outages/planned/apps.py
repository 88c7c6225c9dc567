from django.apps import AppConfig


class PlannedConfig(AppConfig):
    name = "outages.planned"
    label = "planned"
    verbose_name = "Planned outages"

    def ready(self) -> None:
        from outages.kinds import register_kind
        from outages.planned.kinds import PlannedHandler

        register_kind(PlannedHandler())
