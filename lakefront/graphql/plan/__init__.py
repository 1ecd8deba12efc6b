"""From a document's text to its answer (DESIGN.md, "An operation's life"), in parts of which each has one reason.

``document`` reads, limits and validates it; ``planner`` makes the plan of it and remembers both. A plan is
``authorise``d for a set of permissions, ``cost`` is its formula, and ``pick`` walks over what is selected: from the
declarations it makes the ``parts`` that SQL answers, or says why resolvers have to (``live_pick`` does so for the
events of a subscription). A request has values besides: ``variables`` and ``coerce`` read them, ``statements`` finds
the statement for their shape, which ``sql``, ``sql_page`` and ``sql_text`` write where it is new.

It is run by ``run``, with others like it by ``batches``, for events by ``live_run``; ``mixed`` goes on with resolvers
inside what SQL gave. ``errors`` tells what failed, ``explain`` what was planned.
"""
