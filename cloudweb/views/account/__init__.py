"""Everybody's own pages at ``/account``: signing up, passwords, and what one has here."""

from pyramid.config import Configurator

from cloudweb.resources.account import AccountContext

_ROUTES = {
    "terms": "/terms",
    "terms.version": r"/terms/{number:\d{1,9}}",
    "account.home": "/account",
    "account.terms": "/account/terms",
    "account.sign_up": "/account/sign-up",
    "account.forgotten": "/account/forgotten",
    "account.sent": "/account/sent",
    "account.link": "/account/link",
    "account.done": "/account/done",
    "account.factor": "/account/second-factor",
    "account.factor.codes": "/account/second-factor/codes",
    "account.factor.remove": "/account/second-factor/remove",
    "account.session.end": r"/account/sessions/{id:\d{1,18}}/end",
    "account.tokens": "/account/tokens",
    "account.token.revoke": r"/account/tokens/{id:\d{1,18}}/revoke",
    "account.password": "/account/password",
    "account.looks": "/account/looks",
}


def includeme(config: Configurator) -> None:
    """Routes and views."""
    for name, pattern in _ROUTES.items():
        config.add_route(name, pattern, factory=AccountContext)
    config.scan("cloudweb.views.account")
