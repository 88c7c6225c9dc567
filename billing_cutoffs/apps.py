from django.apps import AppConfig


class BillingCutoffsConfig(AppConfig):
    name = "billing_cutoffs"
    label = "billing_cutoffs"
    verbose_name = "Non-payment cut-offs"

    def ready(self) -> None:
        from billing_cutoffs.kinds import NonPaymentHandler
        from outages.kinds import register_kind

        register_kind(NonPaymentHandler())
