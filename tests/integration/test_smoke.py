from system import System, unique
async def test_smoke(system: System) -> None:
    ann = unique("ann")
    a = await system.pay(user=ann)
    assert a.status == 201, a.body
    await system.quiet()
    p = await system.get(a.body["id"], user=ann)
    assert p["status"]=="succeeded"; assert p["charges"][0]["card_last4"]=="4242"
    assert [m.subject for m in system.mails if ann in m.to]
