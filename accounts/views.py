"""One's own settings; users, roles and tokens for administrators; the access log; the rules in force."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.forms import Form, ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

import standards
from accounts import selectors, services
from accounts.actor import Actor
from accounts.adapters import language_remember
from accounts.forms import ClientForm, ProfileForm, RoleForm, TokenForm, UserEditForm, UserForm
from accounts.models import AccessVerb, RoleGrant, ServiceToken, User
from accounts.policies import may_manage_users, require
from accounts.requests import actor_of
from accounts.rules import sections_of
from standards.errors import DomainError, Forbidden, NotFound

PAGE = 50


def form_refused(form: Form | ModelForm[Any], error: DomainError) -> None:
    """A refusal of a service beside the field it speaks of."""
    form.add_error(error.field if error.field in form.fields else None, str(error))


def _me(actor: Actor) -> User:
    if actor.user_id is None:
        raise Forbidden()
    return User.objects.get(pk=actor.user_id)


def wrong(form: Form | ModelForm[Any]) -> int:
    return 422 if form.errors else 200


@login_required
def profile(request: HttpRequest) -> HttpResponse:
    """A person's own settings."""
    actor = actor_of(request)
    user = _me(actor)
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        services.profile_update(actor=actor, user=user, **form.cleaned_data)
        messages.success(request, _("Your settings are saved."))
        response = redirect("accounts:profile")
        language_remember(response, user.language)
        return response
    grants = user.role_grants.in_force().select_related("branch")
    return render(request, "accounts/profile.html", {"form": form, "grants": grants}, status=wrong(form))


@require_GET
def reset_closed(request: HttpRequest) -> HttpResponse:
    """Passwords are reset by an administrator, who knows the person; no link by mail opens an account."""
    return render(request, "accounts/reset_closed.html")


# --- users ------------------------------------------------------------------------------------------


@login_required
@require_GET
def users(request: HttpRequest) -> HttpResponse:
    """Everybody who can sign in, and every machine client."""
    actor = actor_of(request)
    found = selectors.users_visible_to(actor)
    query = request.GET.get("q", "").strip().replace("\x00", "")
    if query:
        found = found.filter(Q(username__icontains=query) | Q(display_name__icontains=query) | Q(extension=query))
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    rows = [(user, [g for g in user.role_grants.all() if g.valid_to is None or g.valid_to > now]) for user in page]
    context = {"page_obj": page, "rows": rows, "q": query, "may_manage": may_manage_users(actor)}
    return render(request, "accounts/users.html", context)


@login_required
@never_cache
def user_new(request: HttpRequest) -> HttpResponse:
    """A new person; the first password is shown once."""
    actor = actor_of(request)
    require(actor, "users.manage")
    form = UserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user, password = services.user_create(actor=actor, **form.cleaned_data)
        except DomainError as refused:
            form_refused(form, refused)
        else:
            return render(request, "accounts/secret.html", {"person": user, "password": password})
    return render(request, "accounts/user_form.html", {"form": form, "is_client": False}, status=wrong(form))


@login_required
def client_new(request: HttpRequest) -> HttpResponse:
    """A new machine client."""
    actor = actor_of(request)
    require(actor, "users.manage")
    form = ClientForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user, _none = services.user_create(actor=actor, is_service=True, **form.cleaned_data)
        except DomainError as refused:
            form_refused(form, refused)
        else:
            return redirect("accounts:user", user.pk)
    return render(request, "accounts/user_form.html", {"form": form, "is_client": True}, status=wrong(form))


@login_required
def user_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One user: facts, roles or tokens, and what can be done."""
    actor = actor_of(request)
    person = selectors.user_get(actor=actor, user_id=pk)
    form = UserEditForm(request.POST or None, instance=person)
    if request.method == "POST" and form.is_valid():
        try:
            services.user_update(actor=actor, user=person, **form.cleaned_data)
        except DomainError as refused:
            form_refused(form, refused)
        else:
            messages.success(request, _("Saved."))
            return redirect("accounts:user", pk)
    return _user_page(request, person, {"form": form})


def _user_page(request: HttpRequest, person: User, forms: dict[str, Form | ModelForm[Any]]) -> HttpResponse:
    actor = actor_of(request)
    context: dict[str, Any] = {
        "person": person,
        "form": UserEditForm(instance=person),
        "role_form": RoleForm(actor=actor),
        "token_form": TokenForm(actor=actor),
        "grants": person.role_grants.select_related("branch").order_by("-valid_from"),
        "tokens": selectors.tokens_visible_to(actor).filter(user=person),
        "now": timezone.now(),
        "may_manage": may_manage_users(actor),
        "is_self": actor.user_id == person.pk,
        **forms,
    }
    status = max(wrong(form) for form in forms.values())
    return render(request, "accounts/user.html", context, status=status)


@login_required
@require_POST
def user_active(request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    person = selectors.user_get(actor=actor, user_id=pk)
    services.user_set_active(actor=actor, user=person, is_active=request.POST.get("active") == "yes")
    messages.success(request, _("Saved."))
    return redirect("accounts:user", pk)


@login_required
@require_POST
@never_cache
def user_password(request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    person = selectors.user_get(actor=actor, user_id=pk)
    password = services.user_reset_password(actor=actor, user=person)
    return render(request, "accounts/secret.html", {"person": person, "password": password})


@login_required
@require_POST
def role_new(request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    person = selectors.user_get(actor=actor, user_id=pk)
    form = RoleForm(request.POST, actor=actor)
    if form.is_valid():
        begin, end = form.period()
        try:
            services.role_grant(
                actor=actor,
                user=person,
                role=form.cleaned_data["role"],
                branch=form.cleaned_data["branch"],
                valid_from=begin,
                valid_to=end,
            )
        except DomainError as refused:
            form_refused(form, refused)
        else:
            messages.success(request, _("The role is granted. The user signs in again to use it."))
            return redirect("accounts:user", pk)
    return _user_page(request, person, {"role_form": form})


@login_required
@require_POST
def role_end(request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    require(actor, "users.manage")
    grant = RoleGrant.objects.filter(pk=pk).first()
    if grant is None:
        raise NotFound()
    services.role_end(actor=actor, grant=grant)
    messages.success(request, _("The role is ended."))
    return redirect("accounts:user", grant.user_id)


@login_required
@require_POST
@never_cache
def token_new(request: HttpRequest, pk: int) -> HttpResponse:
    """A token; its key is shown on this page and never again."""
    actor = actor_of(request)
    person = selectors.user_get(actor=actor, user_id=pk)
    form = TokenForm(request.POST, actor=actor)
    if form.is_valid():
        facts = form.cleaned_data
        try:
            token, key = services.token_create(
                actor=actor,
                user=person,
                name=facts["name"],
                scopes=facts["scopes"],
                branch=facts["branch"],
                addresses=facts["addresses"],
                owner=_me(actor),
                expires_at=timezone.now() + timedelta(days=facts["days"]),
            )
        except DomainError as refused:
            form_refused(form, refused)
        else:
            return render(request, "accounts/secret.html", {"person": person, "token": token, "key": key})
    return _user_page(request, person, {"token_form": form})


@login_required
@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    actor = actor_of(request)
    require(actor, "users.manage")
    token = ServiceToken.objects.select_related("user").filter(pk=pk).first()
    if token is None:
        raise NotFound()
    services.token_revoke(actor=actor, token=token)
    messages.success(request, _("The token is revoked."))
    return redirect("accounts:user", token.user_id)


@login_required
@require_GET
def access_log(request: HttpRequest) -> HttpResponse:
    """Who looked at what, for auditors."""
    found = selectors.access_events_visible_to(actor_of(request))
    verb, who = request.GET.get("verb", ""), request.GET.get("who", "").strip().replace("\x00", "")
    if verb in AccessVerb.values:
        found = found.filter(verb=verb)
    if who:
        found = found.filter(actor_name__icontains=who)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    context = {"page_obj": page, "verbs": AccessVerb.choices, "verb": verb, "who": who}
    return render(request, "accounts/access_log.html", context)


@login_required
@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    """The rule packs: every value with its source and whether it was verified."""
    packs = standards.packs()
    chosen = next((p for p in packs if p.name == request.GET.get("pack")), None) or standards.pack("cn-sgcc")
    return render(request, "accounts/rules.html", {"packs": packs, "pack": chosen, "sections": sections_of(chosen)})
