from django.apps import AppConfig


class FaultsConfig(AppConfig):
    name = "outages.faults"
    label = "faults"
    verbose_name = "Faults"

    def ready(self) -> None:
        from outages.faults.kinds import FaultHandler
        from outages.kinds import register_kind

        register_kind(FaultHandler())
