/* The store's protocol as a model: when an answer may leave, when a checkpoint may count, when the log may be
 * cut, so that neither a killed process nor a power cut breaks a promise. One message and one object with its
 * event, two consumers, a clock; what is modelled stands in src/commit (store, threads, keeper, recovery) and
 * src/queue. run.py lets Spin look at every order of things, and at each PLANT, which must be found.
 *
 * PART 1 is about the message and its leases, PART 2 about the object, its event and the index: apart, since
 * together they have more orders than anybody waits for. DEEP has one more crash and group.
 *
 * The log is an array of groups, counted from 1. `appended` >= `written` >= `durable`; `base` groups are cut. */

#ifndef PLANT
#define PLANT 0
#endif
#define PLANTED(n) (PLANT == (n))
#define SEND_ANSWERED_WHEN_WRITTEN 1
#define DELETE_ANSWERED_WHEN_WRITTEN 2
#define RECEIVE_ANSWERED_WHEN_APPENDED 3
#define SECOND_DELETE_ANSWERED_AT_ONCE 4
#define CHECKPOINT_BEFORE_LOG_IS_DURABLE 5
#define CHECKPOINT_OF_A_LATER_MOMENT 6
#define CUT_BEFORE_INDEX_IS_DURABLE 7
#define CUT_BEFORE_CHECKPOINT_COUNTS 8
#define INDEX_AHEAD_OF_THE_LOG 9
#define EVENT_IN_A_GROUP_OF_ITS_OWN 10
#define OLD_RECEIPT_TAKEN 11
#define LEASE_FORGOTTEN_AT_START 12
#define PUT_ANSWERED_BEFORE_APPLIED 13

#ifndef PART
#define PART 1
#endif
#ifdef DEEP
#define CRASHES 2
#define GROUPS 5  /* of the log, in all */
#else
#define CRASHES 1
#define GROUPS 4
#endif
#define TIME 1    /* the clock's last value */
#define LEASE 1

mtype = { Sent, Received, Deleted, Put, Event };
mtype kind[GROUPS + 1];
byte until[GROUPS + 1]; /* of Received: the lease's end */

byte appended, written, durable, base;
byte life;     /* number of the process: a command of an earlier one has no answer */
byte crashes;
byte now;

/* The queue engine, in memory. */
mtype = { Nowhere, Waiting, Leased, Gone };
mtype message = Nowhere;
byte lease, receives;
bool event;

/* The index: what readers see, and what a crash falls back to. */
byte applied, flushed;
bool object, object_flushed;

/* The checkpoint that counts, and the one being written. */
byte saved_at, copy_at;
mtype saved_message = Nowhere, copy_message = Nowhere;
byte saved_lease, saved_receives, copy_lease, copy_receives;
bool saved_event, copy_event;

/* What was promised: for the assertions only. */
bool send_answered, delete_asked, delete_answered, put_answered;
byte held_until; /* a consumer was told: yours until then */

inline append(what, end) {
  appended++;
  kind[appended] = what;
  until[appended] = end
}

/* Replays group g into the queue engine; what does not fit says that the state was not that of its moment. */
inline replay(g) {
  if
  :: kind[g] == Sent -> assert(message == Nowhere); message = Waiting
  :: kind[g] == Received ->
    assert(message == Waiting || message == Leased);
    message = Leased;
    lease = (PLANTED(LEASE_FORGOTTEN_AT_START) -> 0 : until[g]);
    receives++
  :: kind[g] == Deleted -> assert(message == Waiting || message == Leased); message = Gone
  :: kind[g] == Put -> event = (PLANTED(EVENT_IN_A_GROUP_OF_ITS_OWN) -> event : true)
  :: kind[g] == Event -> event = true
  fi
}

/* Values that nobody looks at any more are zero: fewer states that differ in nothing else. */
inline forget_copy() {
  copy_at = 0; copy_message = Nowhere; copy_lease = 0; copy_receives = 0; copy_event = false
}

inline cut(position) {
  do
  :: base < position -> base++; kind[base] = 0; until[base] = 0
  :: else -> break
  od
}

inline keep_promises() {
  assert(!send_answered || delete_asked || message == Waiting || message == Leased);
  assert(!delete_answered || message == Gone);
  assert(!put_answered || object);
  assert(object == event)
}

inline start() {
  life++;
  assert(base <= saved_at && base <= flushed);       /* what is needed was not cut */
  assert(saved_at <= written && flushed <= written); /* neither is ahead of the log */
  message = saved_message; lease = saved_lease; receives = saved_receives; event = saved_event;
  byte g = saved_at + 1;
  do
  :: g <= written -> replay(g); g++
  :: else -> break
  od;
  object = object_flushed;
  g = flushed + 1;
  do
  :: g <= written -> object = object || kind[g] == Put; g++
  :: else -> break
  od;
  do
  :: appended > written -> kind[appended] = 0; until[appended] = 0; appended--
  :: else -> break
  od;
  applied = written;
  durable = written; /* recovery syncs what it found */
  forget_copy();
  g = 0;
  keep_promises()
}

/* kill -9: what was written is there. A power cut: of what was not durable, any part up to some point, and no
 * consumer lives that was told of a lease. */
proctype crash() {
  do
  :: atomic { crashes < CRASHES ->
      crashes++;
      if
      :: true
      :: held_until = 0;
        do
        :: written > durable -> written--
        :: break
        od
      fi;
      start()
    }
  :: crashes == CRASHES -> break
  od
}

/* The log thread: a batch of all that has gathered, then one sync; nothing is written meanwhile. */
proctype log_thread() {
end:
  do
  :: atomic { written < appended -> written = appended }
  :: atomic { durable < written -> durable = written }
  od
}

proctype applier() {
end:
  do
#if PART == 1
  :: atomic { flushed < durable -> applied = durable; flushed = durable }
#else
  :: atomic { applied < (PLANTED(INDEX_AHEAD_OF_THE_LOG) -> written : durable) ->
      applied++;
      object = object || kind[applied] == Put
    }
  :: atomic { flushed < applied -> flushed = applied; object_flushed = object }
#endif
  od
}

/* The keeper: one checkpoint after the other; each step may meet a new process. */
proctype keeper() {
  byte mine;
end:
  do
  :: atomic { saved_at < appended ->
      mine = life;
      copy_at = appended;
      copy_message = message; copy_lease = lease; copy_receives = receives; copy_event = event
    };
    if
    :: mine == life && (durable >= copy_at || PLANTED(CHECKPOINT_BEFORE_LOG_IS_DURABLE))
    :: mine != life -> goto end
    fi;
    if
    :: PLANTED(CUT_BEFORE_CHECKPOINT_COUNTS) && mine == life && flushed >= copy_at -> atomic { cut(copy_at) }
    :: !PLANTED(CUT_BEFORE_CHECKPOINT_COUNTS)
    fi;
    atomic {
      if
      :: mine == life ->
        if
        :: PLANTED(CHECKPOINT_OF_A_LATER_MOMENT) ->
          copy_message = message; copy_lease = lease; copy_receives = receives; copy_event = event
        :: else
        fi;
        saved_at = copy_at; saved_message = copy_message; saved_lease = copy_lease;
        saved_receives = copy_receives; saved_event = copy_event;
        forget_copy()
      :: else -> goto end
      fi
    };
    if
    :: mine == life && (flushed >= saved_at || PLANTED(CUT_BEFORE_INDEX_IS_DURABLE)) ->
      atomic { if :: mine == life -> cut(saved_at) :: else fi }
    :: mine != life
    fi
  od
}

proctype producer() {
  byte lsn, mine;
  atomic { appended < GROUPS -> append(Sent, 0); message = Waiting; lsn = appended; mine = life };
  if
  :: atomic { mine == life && (PLANTED(SEND_ANSWERED_WHEN_WRITTEN) -> written : durable) >= lsn ->
      send_answered = true }
  :: mine != life
  fi
}

proctype putter() {
  byte lsn, mine;
  atomic { appended < GROUPS - 1 ->
    append(Put, 0);
    lsn = appended;
    mine = life;
    if
    :: PLANTED(EVENT_IN_A_GROUP_OF_ITS_OWN) -> append(Event, 0)
    :: else
    fi;
    event = true
  };
  if
  :: atomic { mine == life && (PLANTED(PUT_ANSWERED_BEFORE_APPLIED) -> durable : applied) >= lsn ->
      put_answered = true;
      assert(object) /* a read that follows sees it */
    }
  :: mine != life
  fi
}

/* Receives, and deletes with the receipt it got. The second one comes later: which of them is first is the same. */
proctype consumer(byte others) {
  byte lsn, mine, receipt, end_of_lease;
  do
  :: atomic { appended < GROUPS && receives >= others && (message == Waiting || (message == Leased && now >= lease)) ->
      assert(!delete_answered);
      assert(now >= held_until); /* nobody was told that it is theirs until later */
      message = Leased;
      lease = now + LEASE;
      end_of_lease = lease;
      receives++;
      receipt = receives;
      append(Received, lease);
      lsn = appended;
      mine = life
    };
    if
    :: atomic { mine == life && (PLANTED(RECEIVE_ANSWERED_WHEN_APPENDED) -> appended : written) >= lsn ->
        held_until = end_of_lease; end_of_lease = 0 };
      goto delete
    :: atomic { mine != life -> receipt = 0; end_of_lease = 0; lsn = 0 }
    fi
  :: break
  od;
  goto done;

delete:
  if
  :: atomic { appended < GROUPS && message == Leased && (receipt == receives || PLANTED(OLD_RECEIPT_TAKEN)) ->
      assert(receipt == receives); /* a receipt of an earlier receive is worth nothing */
      delete_asked = true;
      message = Gone;
      append(Deleted, 0);
      lsn = appended;
      mine = life
    }
  :: atomic { message == Gone -> /* by the other one, or before: an answer all the same, for what it saw */
      lsn = (PLANTED(SECOND_DELETE_ANSWERED_AT_ONCE) -> 0 : appended);
      mine = life
    }
  :: goto done
  fi;
  if
  :: atomic { mine == life && (PLANTED(DELETE_ANSWERED_WHEN_WRITTEN) -> written : durable) >= lsn ->
      delete_answered = true;
      held_until = 0
    }
  :: mine != life
  fi;
done:
  skip
}

proctype clock() {
  do
  :: now < TIME -> now++
  :: break
  od
}

init {
  atomic {
    run log_thread(); run applier(); run keeper(); run crash();
    run producer();
#if PART == 1
    run clock(); run consumer(0); run consumer(1)
#else
    run putter()
#endif
  }
}
