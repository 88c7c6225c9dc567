"""``manage.py create_token scada --scope outage:read --scope event:read --branch B01 --days 90``."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import services
from accounts.actor import Actor
from accounts.models import User
from accounts.policies import SCOPES
from grid.models import Branch
from standards.errors import DomainError


class Command(BaseCommand):
    help = "Makes a token for a machine client (and the client, if it is new) and prints the key once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client", help="user name of the machine client")
        parser.add_argument("--scope", action="append", required=True, metavar="SCOPE", help=", ".join(SCOPES))
        parser.add_argument("--branch", default="", help="code of the branch it is limited to (default: all)")
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument("--days", type=int, default=365, help="days until it expires, at most 365")
        parser.add_argument("--address", action="append", default=[], help="allowed address or network")
        parser.add_argument("--owner", default="", help="user name of the responsible person")

    def handle(self, *_args: Any, **options: Any) -> None:
        actor = Actor.system("create_token")
        branch = self._branch(options["branch"])
        owner = self._owner(options["owner"])
        try:
            user = User.objects.filter(username=options["client"]).first()
            if user is None:
                user, _none = services.user_create(actor=actor, username=options["client"], is_service=True)
            _token, key = services.token_create(
                actor=actor,
                user=user,
                name=options["name"] or options["client"],
                scopes=options["scope"],
                branch=branch,
                addresses=options["address"],
                owner=owner,
                expires_at=timezone.now() + timedelta(days=options["days"]),
            )
        except DomainError as refused:
            raise CommandError(str(refused)) from refused
        self.stdout.write(key)

    def _branch(self, code: str) -> Branch | None:
        if not code:
            return None
        branch = Branch.objects.filter(code=code).first()
        if branch is None:
            raise CommandError(f"There is no branch {code!r}.")
        return branch

    def _owner(self, username: str) -> User | None:
        if not username:
            return None
        owner = User.objects.filter(username=username, is_service=False).first()
        if owner is None:
            raise CommandError(f"There is no person {username!r}.")
        return owner
