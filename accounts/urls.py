"""Addresses of accounts, below ``accounts/``; login, logout, password and second factor are the login library's."""

from django.urls import path

from accounts import views

app_name = "accounts"
urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("users/", views.users, name="users"),
    path("users/new/", views.user_new, name="user-new"),
    path("clients/new/", views.client_new, name="client-new"),
    path("users/<int:pk>/", views.user_detail, name="user"),
    path("users/<int:pk>/active/", views.user_active, name="user-active"),
    path("users/<int:pk>/password/", views.user_password, name="user-password"),
    path("users/<int:pk>/roles/", views.role_new, name="role-new"),
    path("roles/<int:pk>/end/", views.role_end, name="role-end"),
    path("users/<int:pk>/tokens/", views.token_new, name="token-new"),
    path("tokens/<int:pk>/revoke/", views.token_revoke, name="token-revoke"),
    path("access-log/", views.access_log, name="access-log"),
    path("rules/", views.rules, name="rules"),
    # stand before the login library's own: passwords and addresses are the administrator's matter
    path("password/reset/", views.reset_closed, name="reset-closed"),
    path("email/", views.reset_closed, name="email-closed"),
]
