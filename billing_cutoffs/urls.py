"""The pages of debts and cut-offs."""

from django.urls import URLPattern, path

from billing_cutoffs.views import (
    accounts,
    batch_steps,
    batches,
    files,
    forecasts,
    grades,
    holds,
    orders,
    overview,
    reconnections,
)

app_name = "billing_cutoffs"

urlpatterns: list[URLPattern] = [
    path("", overview.overview, name="overview"),
    path("batches/", batches.batches, name="batches"),
    path("batches/new/", batches.batch_new, name="batch-new"),
    path("batches/<slug:reference>/", batches.batch, name="batch"),
    path("batches/<slug:reference>/decisions.csv", batches.batch_csv, name="batch-csv"),
    path("batches/<slug:reference>/check/", batch_steps.batch_check, name="batch-check"),
    path("batches/<slug:reference>/steps/<slug:step>/", batch_steps.batch_step, name="batch-step"),
    path(
        "batches/<slug:reference>/orders/<slug:order>/<slug:step>/",
        batch_steps.batch_order_step,
        name="batch-order-step",
    ),
    path("accounts/", accounts.accounts, name="accounts"),
    path("accounts.csv", accounts.accounts_csv, name="accounts-csv"),
    path("accounts/<str:number>/", accounts.account, name="account"),
    path("accounts/<str:number>/evidence/", accounts.evidence, name="account-evidence"),
    path("accounts/<str:number>/notices/<int:pk>/", accounts.notice_served, name="notice-serve"),
    path("orders/<str:reference>/", orders.order, name="order"),
    path("orders/<str:reference>/steps/<slug:step>/", orders.order_step, name="order-act"),
    path("orders/<str:reference>/evidence/", accounts.order_evidence, name="order-evidence"),
    path("letters/<str:reference>/", accounts.letters, name="letters"),
    path("grades/", grades.grades, name="grades"),
    path("grades/new/", grades.grade_new, name="grade-new"),
    path("grades/run/", grades.grading_start, name="grading-start"),
    path("grades/<int:pk>/", grades.grade_edit, name="grade"),
    path("grades/<int:pk>/use/", grades.grade_use, name="grade-use"),
    path("holds/", holds.holds, name="holds"),
    path("holds/new/", holds.hold_new, name="hold-new"),
    path("holds/<int:pk>/", holds.hold, name="hold"),
    path("files/", files.files, name="files"),
    path("files/template/<slug:kind>.csv", files.template, name="file-template"),
    path("files/<int:pk>/", files.file, name="file"),
    path("files/<int:pk>/confirm/", files.confirm, name="file-confirm"),
    path("files/<int:pk>/discard/", files.discard, name="file-discard"),
    path("files/<int:pk>/rows.csv", files.returned, name="file-rows"),
    path("forecasts/", forecasts.forecasts, name="forecasts"),
    # who waits for power, and for whom
    path("reconnections/", reconnections.reconnections, name="reconnections"),
    path("reconnections.csv", reconnections.reconnections_csv, name="reconnections-csv"),
    path("reconnections/<str:reference>/safe/", reconnections.order_is_safe, name="order-is-safe"),
    path("failures/", reconnections.failures, name="failures"),
    path("failures.csv", reconnections.failures_csv, name="failures-csv"),
    path("slips/", reconnections.slips, name="slips"),
]
