from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    label = "accounts"
    verbose_name = "Users, roles and scope"

    def ready(self) -> None:
        from accounts import signals  # models must be loaded first

        signals.connect()
