"""What schemathesis cannot know: who is calling, and which ids there are.

Whoever asks for a partner is somebody new, so that nobody has asked before. Other calls about an id that an
answer has told are made by whoever it was told to.
"""

import atexit
import json
import os
import random
import threading
import urllib.request
import uuid

import schemathesis
from hypothesis import strategies as st

IDS = ("id", "match_id", "session_id")
PREFIX = "/api/v1/matching"
TICKET = ("request_id", "ticket_id")
FEW = ["Array", "Graph", "Hash Table"]
LATEST = 20
DICE = random.Random(0)  # one of its own: hypothesis sets the common one back for each case

lock = threading.Lock()
owners = {}  # an id: the tokens of those whom an answer told it
known = {name: [] for name in IDS}


def called(path, token=None, body=None):
    """What the server under test answers to a call that is no test."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body and json.dumps(body).encode()
    request = urllib.request.Request(os.environ["SERVER"] + path, data, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def minted(user_id):
    """A token that the server signs."""
    return called("/dev/token", body={"user_id": user_id})["token"]


SOMEBODY = minted("somebody")


def ids_in(case):
    """The ids that a request is about."""
    values = list((case.path_parameters or {}).values())
    if isinstance(case.body, dict):
        values += case.body.values()
    return [value for value in values if isinstance(value, str) and value in owners]


@schemathesis.auth(refresh_interval=None)
class Caller:
    """Whoever may make the call, where somebody in particular may."""

    def get(self, case, context):
        if case.method == "POST" and case.operation.path.endswith("/request"):
            return minted(f"user-{uuid.uuid4()}")
        about = ids_in(case)
        with lock:
            if case.operation.path.endswith("/sessions/active"):
                about = known["session_id"][-1:]
            tokens = [token for it in about for token in owners[it]]
        return DICE.choice(tokens) if tokens else SOMEBODY

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def after_call(context, case, response):
    """Remembers what an answer tells, and looks who else is in a match that was not known."""
    scheme, _, token = (response.request.headers.get("Authorization") or "").partition(" ")
    if response.status_code != 200 or scheme != "Bearer":
        return
    try:
        body = json.loads(response.content)
    except ValueError:
        return
    with lock:
        is_new = remember(body, token)
        others = [(it, owners[it][0]) for it in known["id"][-LATEST:]]
    for ticket, token in others if is_new else ():
        status = called(f"{PREFIX}/requests/{ticket}/status", token)
        with lock:
            remember(status, token)


def remember(body, token):
    """Whether a match is told that was not known."""
    is_new = False
    for name in IDS if isinstance(body, dict) else ():
        value = body.get(name)
        if isinstance(value, str):
            tokens = owners.setdefault(value, [])
            if not tokens:
                known[name].append(value)
                is_new |= name == "match_id"
            if token not in tokens:
                tokens.append(token)
    return is_new


@atexit.register
def tell():
    """How far it came."""
    print("ids that were told:", {name: len(ids) for name, ids in known.items()})


def is_uuid(value):
    """Whether a value is good enough to be replaced by a better one."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def often(value, others):
    """The value, or more often one of the others."""
    return st.sampled_from([value] + others[-LATEST:])


@schemathesis.hook
def flatmap_body(context, body):
    """Topics on which people meet, ids that there are, and more confirmations than declines."""
    if not isinstance(body, dict):
        return st.just(body)
    strategies = {name: st.just(value) for name, value in body.items()}
    topic = body.get("topic")
    if isinstance(topic, str) and topic.isprintable() and 0 < len(topic.strip()) <= 64:
        strategies["topic"] = often(topic, FEW)
    if body.get("confirmed") is False:
        strategies["confirmed"] = often(False, [True] * 5)
    for name in IDS:
        if is_uuid(body.get(name)):
            strategies[name] = often(body[name], known[name])
    return st.fixed_dictionaries(strategies)


@schemathesis.hook
def flatmap_path_parameters(context, path_parameters):
    """Ids that there are."""
    strategies = {name: st.just(value) for name, value in (path_parameters or {}).items()}
    for name, value in (path_parameters or {}).items():
        if is_uuid(value):
            strategies[name] = often(value, known["id" if name in TICKET else name])
    return st.fixed_dictionaries(strategies)
