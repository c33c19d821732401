"""Identity providers that an account trusts: SAML and OpenID Connect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages


@stream(
    "aws.iam.federations",
    per="account",
    every="1d",
    needs={
        "ListSAMLProviders": "iam:ListSAMLProviders",
        "ListOpenIDConnectProviders": "iam:ListOpenIDConnectProviders",
        "GetOpenIDConnectProvider": "iam:GetOpenIDConnectProvider",
    },
)
def federations(account: AwsAccount) -> Iterator[Record | Gap]:
    """Identity providers whose word the account takes for who somebody is.

    The address of an OpenID Connect provider is part of its ARN; its audiences need a call of their own.
    """
    iam = account.client("iam")

    def openid(listed: Mapping[str, Any]) -> Record | None:
        arn = listed["Arn"]
        url = arn.partition(":oidc-provider/")[2]
        audiences = facet(
            iam.get_open_id_connect_provider, OpenIDConnectProviderArn=arn, pick="ClientIDList", parse=sorted
        )
        if isinstance(audiences, Gap) and audiences.code == "NoSuchEntity":
            return None
        return Record(arn, {"kind": "oidc", "name": url, "url": f"https://{url}", "client_ids": audiences})

    for saml in pages(iam, "list_saml_providers", "SAMLProviderList"):
        yield Record(
            saml["Arn"],
            {
                "kind": "saml",
                "name": saml["Arn"].partition(":saml-provider/")[2],
                "url": None,
                "client_ids": [],
                "created": saml.get("CreateDate"),
                "valid_until": saml.get("ValidUntil"),
            },
        )
    listed = pages(iam, "list_open_id_connect_providers", "OpenIDConnectProviderList")
    yield from (record for record in spread(openid, listed) if record is not None)
