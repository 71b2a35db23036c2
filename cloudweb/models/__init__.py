"""The tables; importing this package imports them all."""

from cloudweb.models.accounts import (
    Density,
    RecoveryCode,
    Role,
    SignInAttempt,
    Theme,
    Token,
    User,
    UserState,
    WebSession,
)
from cloudweb.models.address_uses import AddressUse
from cloudweb.models.adoptions import Adoption, AdoptionState, AdoptionStep
from cloudweb.models.audit import AuditChain, AuditEntry, Outcome
from cloudweb.models.backends import (
    MAX_BACKENDS,
    Backend,
    BackendHour,
    BackendPin,
    EventSource,
    Node,
)
from cloudweb.models.catalogue import (
    CatalogueFlavor,
    CatalogueNode,
    Install,
    InstallResult,
    ResultState,
)
from cloudweb.models.cluster_jobs import ClusterJob
from cloudweb.models.consumers import ConsumerPause, ConsumerProcess
from cloudweb.models.dead_letters import DeadLetter, LetterState, QueueCount
from cloudweb.models.flavors import Flavor
from cloudweb.models.forms import HeldForm, SentForm
from cloudweb.models.handovers import Handover
from cloudweb.models.images import Image, ImageMember
from cloudweb.models.infrastructures import Infrastructure, InfrastructureKind, RegionalFlavor
from cloudweb.models.lists import ListVersion, move_all_lists, move_lists
from cloudweb.models.mail import LinkPurpose, Mail, MailedLink, MailState
from cloudweb.models.meta import (
    MAX_ID,
    Base,
    SessionFactory,
    make_engine,
    refuses_changes,
    unit_of_work,
    utc_now,
)
from cloudweb.models.networks import (
    PUBLIC,
    BackendNetwork,
    Network,
    NetworkKind,
    NetworkState,
    touch_networks,
)
from cloudweb.models.operations import OPEN_STATES, Operation, OperationState
from cloudweb.models.pools import Pool, PoolDay, PoolKind, PoolUse, PoolValue
from cloudweb.models.quotas import UNLIMITED, Quota, Resource
from cloudweb.models.reconciliations import (
    ComparisonRecord,
    Drift,
    Finding,
    FindingState,
    ReconcileRun,
)
from cloudweb.models.saved_views import SavedView
from cloudweb.models.servers import (
    Diagnostic,
    Nic,
    NicState,
    OperState,
    Server,
    ServerMetadata,
)
from cloudweb.models.terms import Acceptance, Terms, TermsFormat, TermsText, TermsTranslation
from cloudweb.models.undos import Undo

__all__ = [
    "MAX_BACKENDS",
    "MAX_ID",
    "OPEN_STATES",
    "PUBLIC",
    "UNLIMITED",
    "Acceptance",
    "AddressUse",
    "Adoption",
    "AdoptionState",
    "AdoptionStep",
    "AuditChain",
    "AuditEntry",
    "Backend",
    "BackendHour",
    "BackendNetwork",
    "BackendPin",
    "Base",
    "CatalogueFlavor",
    "CatalogueNode",
    "ClusterJob",
    "ComparisonRecord",
    "ConsumerPause",
    "ConsumerProcess",
    "DeadLetter",
    "Density",
    "Diagnostic",
    "Drift",
    "EventSource",
    "Finding",
    "FindingState",
    "Flavor",
    "Handover",
    "HeldForm",
    "Image",
    "ImageMember",
    "Infrastructure",
    "InfrastructureKind",
    "Install",
    "InstallResult",
    "LetterState",
    "LinkPurpose",
    "ListVersion",
    "Mail",
    "MailState",
    "MailedLink",
    "Network",
    "NetworkKind",
    "NetworkState",
    "Nic",
    "NicState",
    "Node",
    "OperState",
    "Operation",
    "OperationState",
    "Outcome",
    "Pool",
    "PoolDay",
    "PoolKind",
    "PoolUse",
    "PoolValue",
    "QueueCount",
    "Quota",
    "ReconcileRun",
    "RecoveryCode",
    "RegionalFlavor",
    "Resource",
    "ResultState",
    "Role",
    "SavedView",
    "SentForm",
    "Server",
    "ServerMetadata",
    "SessionFactory",
    "SignInAttempt",
    "Terms",
    "TermsFormat",
    "TermsText",
    "TermsTranslation",
    "Theme",
    "Token",
    "Undo",
    "User",
    "UserState",
    "WebSession",
    "make_engine",
    "move_all_lists",
    "move_lists",
    "refuses_changes",
    "touch_networks",
    "unit_of_work",
    "utc_now",
]
