"""Everything a process needs to serve, put together and taken apart in the right order."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import anyio.to_thread
import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.exchange.room import Exchange
from stafett.ledger import Ledger, archived
from stafett.ledger.lending import Pool
from stafett.ledger.schema import migrate
from stafett.ledger.tending import Tended, end_all
from stafett.service import mail, mqtt
from stafett.service.accounts import Accounts
from stafett.service.administration import Administration
from stafett.service.admission import Admission
from stafett.service.alerting import Alerting
from stafett.service.alerts import Alerts
from stafett.service.asked import Asking
from stafett.service.author_keys import AuthorKeys
from stafett.service.board import Board
from stafett.service.bookings import Bookings
from stafett.service.chain_counts import Counting
from stafett.service.challenges import Challenges
from stafett.service.changes import Changes
from stafett.service.competence import Competences
from stafett.service.computing import Computing
from stafett.service.conditions import Conditions
from stafett.service.deviations import Deviations
from stafett.service.documents import Documents
from stafett.service.dry_runs import DryRuns
from stafett.service.erasing import Erasing
from stafett.service.erasures import Erasures
from stafett.service.factors import Factors
from stafett.service.forecasting import Forecasts
from stafett.service.hindcasts import Hindcasts
from stafett.service.incentives import Incentives
from stafett.service.intake import Intake
from stafett.service.journeys import Journeys
from stafett.service.keeping import Keeping
from stafett.service.kept import KeptRows
from stafett.service.keys import Keys
from stafett.service.labels import Labels
from stafett.service.learning import Learning
from stafett.service.letters import Letters
from stafett.service.library import Library
from stafett.service.loggerfiles import LoggerFiles
from stafett.service.loggers import Loggers
from stafett.service.master import Master
from stafett.service.network import Networks
from stafett.service.offers import Offers
from stafett.service.openid import Providers
from stafett.service.openings import Openings
from stafett.service.outside import Outside
from stafett.service.own_networks import OwnNetworks
from stafett.service.papers import Papers
from stafett.service.passkeys import Passkeys
from stafett.service.peers import Peers
from stafett.service.practice import Practice
from stafett.service.publishing import Publishing
from stafett.service.read_in import FilesRead
from stafett.service.readiness import Onboardings
from stafett.service.readings import Readings
from stafett.service.record import Record
from stafett.service.registry import Registry
from stafett.service.relays import Relays, at_once
from stafett.service.results import Results, listener
from stafett.service.retirements import Retirements
from stafett.service.rosters import Rosters
from stafett.service.sessions import Sessions
from stafett.service.settlement import Settlements
from stafett.service.signin import SignIn
from stafett.service.site_training import SiteTraining
from stafett.service.stands import Stands
from stafett.service.studio import Studio
from stafett.service.system import SystemView
from stafett.service.training import Training
from stafett.service.vault import Vault
from stafett.service.views import Views
from stafett.service.waitlist import Waitlist
from stafett.service.watching import Watch
from stafett.service.withdrawals import Withdrawals


class Tower:
    """The use cases over one database. Open it in the event loop that serves."""

    def __init__(self, url: str, folder: Path, *, cheap_hashing: bool = False) -> None:
        """Serve the database at `url`; `folder` keeps what must not be in it (the vault's key)."""
        self.url, self.folder = url, folder
        self.pool: AsyncConnectionPool[Any] = Pool(
            url,
            min_size=1,
            max_size=8,
            open=False,
            configure=_as_service,
        )
        self.ledger = Ledger(url)
        self.accounts = Accounts(self.pool, cheap=cheap_hashing)
        self.library = Library(self.pool)
        folder.mkdir(parents=True, exist_ok=True)
        master = Master(folder)
        self.vault = Vault(self.pool, master)
        self.sessions = Sessions(self.pool)
        self.factors = Factors(self.pool, master)
        challenges = Challenges(self.pool)
        self.author_keys = AuthorKeys(folder / "author-keys", self.ledger)
        self.ledger.signing = self.author_keys.sign
        self.retirements = Retirements(self.pool, self.author_keys)
        self.passkeys = Passkeys(self.pool, challenges, lambda: at_once(self.retirements.relay))
        self.signin = SignIn(
            self.pool, self.accounts, self.sessions, self.factors, self.passkeys, challenges
        )
        self.changes = Changes(self.pool, self.ledger)
        self.providers = Providers(self.pool, self.accounts, self.changes, challenges, master)
        self.competences = Competences(self.pool, self.accounts, self.changes)
        self.readings = Readings(self.pool)
        self.labels = Labels(self.pool, self.changes)
        self.admission = Admission(self.library, self.changes)
        self.networks = Networks(self.pool)
        self.administration = Administration(
            self.pool,
            self.accounts,
            self.changes,
            self.networks,
            self.sessions,
            self.factors,
            self.passkeys,
            self.signin,
        )
        self.documents = Documents(self.pool)
        self.record = Record(self.ledger)
        self.keys = Keys(self.ledger, self.author_keys, self.changes)
        self.publishing = Publishing(self.ledger, folder)
        self.ledger.accepting = self.publishing.signer
        clocks = self.publishing.clocks
        self.journeys = Journeys(
            self.ledger,
            self.accounts,
            self.library,
            self.vault,
            self.networks,
            self.passkeys,
            self.competences,
            self.readings,
            self.labels,
            self.author_keys,
            clocks,
        )
        self.papers = Papers(self.documents, self.journeys, self.record, self.readings)
        asking = Asking(self.pool)
        self.keeping = Keeping(
            self.journeys,
            self.vault,
            self.changes,
            self.documents,
            self.accounts,
            self.passkeys,
            asking,
        )
        self.erasing = Erasing(
            self.pool, self.journeys, self.vault, self.documents, self.readings, asking
        )
        self.erasures = Erasures(self.pool, self.ledger, self.vault, self.documents)
        self.board = Board(self.ledger, self.journeys, KeptRows(self.pool))
        self.board.of_rooms.append(self.library.hear)
        self.watch = Watch(self.board, self.journeys)
        self.alerts, self.rosters = Alerts(self.pool), Rosters(self.pool)
        self.alerting = Alerting(url, self.board, self.journeys, self.alerts, self.rosters)
        self.forecasts = Forecasts(self.board, self.journeys)
        self.hindcasts = Hindcasts(self.board, self.journeys)
        self.views = Views(self.pool)
        self.deviations = Deviations(self.pool, self.board, self.journeys)
        self.peers = Peers(self.pool, self.journeys, self.accounts)
        server = mail.configured()
        self.mail = mail.Mail(self.pool, server) if server else None
        self.exchange = Exchange(url, self.ledger, alerts=self.alerts.feed)
        self.journeys.of_labels(self.exchange.joins)
        self.letters = Letters(self.pool, self.changes, master)
        self.letters.of_captures(self.exchange.captures)
        self.results = Results(
            folder, self.exchange.store, self.letters, lambda: self.ledger.halted
        )
        self.hl7 = listener(self.results)
        self.registry = Registry(self.ledger, self.documents)
        self.bookings = Bookings(self.pool, self.ledger, self.networks)
        self.waitlist = Waitlist(self.pool, self.bookings)
        self.offers = Offers(self.pool, self.bookings, self.waitlist)
        self.practice = Practice(self.ledger, self.library)
        self.dry_runs = DryRuns(self.library, self.practice, self.accounts)
        self.onboardings = Onboardings(
            self.ledger,
            self.registry,
            self.accounts,
            self.documents,
            self.passkeys,
            self.dry_runs,
            SiteTraining(self.library, self.competences, self.accounts),
        )
        self.training = Training(self.library, self.competences)
        self.openings = Openings(self.pool, self.bookings.calendars)
        counting = Counting(self.pool, self.board, self.journeys, self.library)
        self.system = SystemView(self.pool, counting, self.openings, self.library, self.registry)
        self.loggers = Loggers(self.pool)
        self.stands = Stands(self.pool, self.ledger, self.networks)
        self.intake = Intake(self.pool, self.ledger, self.loggers)
        files = FilesRead(self.pool)
        self.logger_files = LoggerFiles(self.intake, self.documents, self.ledger, files)
        self.withdrawals = Withdrawals(self.ledger, files, self.accounts, self.passkeys)
        self.mqtt = mqtt.from_environment(url, self.intake)
        self.conditions = Conditions(
            self.pool, self.board, self.journeys, self.loggers, self.intake, self.stands, files
        )
        self.learning = Learning(url, self.ledger, self.pool)
        self.computing = Computing(url, self.pool, folder)
        self.studio = Studio(self.computing, OwnNetworks(self.pool))
        self.incentives = Incentives(self.computing)
        self.settlements = Settlements(self.computing)
        self.outside = Outside(self)
        self.relays = Relays(
            {
                "changes": self.changes.relay,
                "passkeys taken away": self.retirements.relay,
                "slots": self.bookings.record.relay,
                "places of loggers": self.stands.relay,
                "erasures": self.erasures.relay,
                "results of practice": self.practice.relay,
                "sites that are ready": self.onboardings.relay,
            }
        )
        self.tended = [
            Tended("protocols admitted elsewhere", self.library.follow),
            Tended("FHIR resources", self.outside.fhir_index.follow),
            Tended("archive of the database's log", lambda: archived.follow(self.pool)),
        ]
        if self.mail is not None:
            self.tended.append(Tended("mail", self.mail.run))

    async def __aenter__(self) -> Tower:
        await anyio.to_thread.run_sync(migrate, self.url)
        await self.pool.open(wait=True)
        await self.ledger.open()
        await self.publishing.start()
        await self.library.open()
        await at_once(self.changes.relay)
        await at_once(self.bookings.record.relay)
        await self.board.start()
        await self.watch.start()
        await self.intake.start()
        await at_once(self.stands.relay)
        await self.conditions.start()
        await self.alerting.start()
        await self.forecasts.start()
        await self.computing.start()
        for one in (*self.tended, *self.offers.tended, *self.relays.tended):
            one.start()
        if self.mqtt is not None:
            await self.mqtt.start()
        await self.exchange.__aenter__()
        if self.hl7 is not None:
            await self.hl7.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.learning.close()
        await self.computing.close()
        if self.hl7 is not None:
            await self.hl7.close()
        await self.exchange.__aexit__(None, None, None)
        if self.mqtt is not None:
            await self.mqtt.close()
        await self.conditions.close()
        await self.intake.close()
        await end_all(*self.tended, *self.offers.tended, *self.relays.tended)
        await self.forecasts.close()
        await self.alerting.close()
        await self.watch.close()
        await self.board.close()
        await self.publishing.close()
        await self.ledger.close()
        await self.pool.close()


async def _as_service(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET ROLE stafett_append")
    await connection.commit()
