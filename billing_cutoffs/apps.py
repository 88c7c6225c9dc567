from django.apps import AppConfig


class BillingCutoffsConfig(AppConfig):
    name = "billing_cutoffs"
    label = "billing_cutoffs"
    verbose_name = "Non-payment cut-offs"

    def ready(self) -> None:
        from outages.kinds import register_kind

        from billing_cutoffs.kinds import NonPaymentHandler

        register_kind(NonPaymentHandler())
