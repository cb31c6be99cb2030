"""The demo: alice against Holdfast, on a real API server. Run it by `make demo`.

Every command runs as it is shown, and every answer is the program's own. What each should do is
checked; where one does something else, the demo fails. With KEEP=1 in the environment everything
is left running at the end, until Ctrl-C.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import showing
import staging
from controlplane import errors

IMAGE: Final = "registry.example/web"
INTERRUPTED: Final = 130  # 128 + SIGINT


def git_and_guards(stage: staging.Stage) -> None:
    """Two Guards take the shop from Git into the cluster."""
    stage.screen.heading("The shop is in Git, and two Guards bring it into the cluster")
    stage.run("git ls-files", shows=["apps/web.yaml", "config/db.yaml"])
    stage.run("cat ../guards.yaml", shows=["kind: Guard", stage.url])
    stage.run("kubectl create namespace shop")
    stage.run("kubectl apply -f ../guards.yaml", shows=["shop-prod created", "shop-config created"])
    stage.wait_for_guards("shop-prod", "shop-config")
    stage.run("holdfast status", shows=["shop/shop-prod", "shop/shop-config", "Synced"])
    stage.run(
        "kubectl -n shop get deployments,services,configmaps,secrets,coupons -l holdfast.dev/guard",
        shows=["deployment.apps/web", "configmap/conf", "secret/db", "spring"],
    )


def refused(stage: staging.Stage) -> None:
    """In Deny mode nothing that Git declares can be changed."""
    stage.screen.heading("alice may do everything here by RBAC, and changes what Git declares")
    stage.refused(
        "EDITOR='sed -i s/web:1.4.2/web:latest/' kubectl -n shop edit deployment web",
        shows=[f"Git {IMAGE}:1.4.2", f"yours {IMAGE}:latest", "apps/web.yaml", "shop-prod"],
    )
    stage.refused(
        "kubectl -n shop scale deployment web --replicas=5",
        shows=["spec.replicas", "Git 3", "yours 5"],
    )
    stage.refused(
        f"kubectl -n shop set image deployment web web={IMAGE}:1.5.0-rc1",
        shows=[f"yours {IMAGE}:1.5.0-rc1"],
    )
    stage.refused(
        "kubectl -n shop label deployment web tier=gold --overwrite",
        shows=["metadata.labels.tier", "yours gold"],
    )
    stage.refused("kubectl -n shop delete service web", shows=["deleting it is refused"])
    stage.refused(
        """kubectl -n shop patch coupon spring --type=merge -p '{"spec":{"percent":80}}'""",
        shows=["shop/spring", "spec.percent", "Git 20", "yours 80"],
    )
    stage.refused(
        "sed s/info/debug/ config/conf.yaml | kubectl -n shop apply -f -",
        shows=["shop/conf", "data.LEVEL", "Git info", "yours debug", "config/conf.yaml"],
    )
    stage.screen.say("""The editor of the next command gives the password another value. The denial
        names the field, and neither what Git says nor what alice wrote.""")
    stage.refused(
        "EDITOR=change-password kubectl -n shop edit secret db", shows=["data.password", "hash:"]
    )


def passes(stage: staging.Stage) -> None:
    """What Git does not declare is nobody's business, and neither is what changes nothing."""
    stage.screen.heading("What Git does not declare is alice's own")
    stage.run(
        "kubectl -n shop create configmap notes --from-literal=who=alice",
        shows=["configmap/notes created"],
    )
    stage.run(
        "EDITOR='sed -i s/alice/mona/' kubectl -n shop edit configmap notes",
        shows=["configmap/notes edited"],
    )
    stage.run("kubectl -n shop delete configmap notes", shows=['"notes" deleted'])
    stage.screen.say("""Within an object of Git's, what Git leaves open is open as well: replicas of
        the worker, a rollout restart, a label that no file names. And the very manifest of Git may
        be applied by anybody.""")
    stage.run("kubectl -n shop scale deployment worker --replicas=2", shows=["worker scaled"])
    stage.run("kubectl -n shop rollout restart deployment web", shows=["web restarted"])
    stage.run("kubectl -n shop label deployment web seen-by=alice", shows=["web labeled"])
    stage.run("kubectl -n shop apply --server-side -f config/conf.yaml", shows=["configmap/conf"])


def flagged(stage: staging.Stage) -> None:
    """In Flag mode an edit passes with a warning, and the loop has the last word."""
    stage.screen.heading(
        "One Guard is switched to Flag: edits pass, with a warning, and are undone"
    )
    began = staging.now()
    _patch_guard(stage, '{"spec":{"admission":{"mode":"Flag"}}}')
    stage.run(
        "EDITOR='sed -i s/info/debug/' kubectl -n shop edit configmap conf",
        shows=["Warning: shop/conf is managed from Git", "will be undone", "configmap/conf edited"],
    )
    stage.wait_for_records("Restored", ["ConfigMap shop/conf"], since=began)
    stage.run("kubectl -n shop get configmap conf -o jsonpath='{.data.LEVEL}'", shows=["info"])
    stage.run(
        f"holdfast audit --since {staging.typed(began)}",
        shows=["Flagged", "alice", "Restored", "back to"],
    )

    stage.screen.say("""With drift.restore off as well the edit stays, and everybody can see it. An
        exit status of 1 from `holdfast status` and `holdfast diff` means drift.""")
    _patch_guard(stage, '{"spec":{"drift":{"restore":false}}}')
    stage.run(
        "EDITOR='sed -i s/info/debug/' kubectl -n shop edit configmap conf",
        shows=["Warning:", "is only recorded", "configmap/conf edited"],
    )
    stage.wait_for_drift("shop-config")
    stage.run("holdfast status", status=1, shows=["Drifted"])
    stage.run("holdfast diff", status=1, shows=["ConfigMap shop/conf", "info", "debug"])
    stage.run(
        "holdfast explain configmap/conf -n shop",
        status=1,
        shows=["shop/shop-config", "config/conf.yaml", "data.LEVEL"],
    )

    stage.screen.say("""Back to Deny. An edit that ends at what Git says is allowed in every
        mode; one that ends elsewhere is not.""")
    _patch_guard(stage, '{"spec":{"admission":{"mode":"Deny"}}}')
    stage.refused(
        "EDITOR='sed -i s/debug/trace/' kubectl -n shop edit configmap conf",
        shows=["data.LEVEL", "Git info", "yours trace"],
    )
    stage.run(
        "EDITOR='sed -i s/debug/info/' kubectl -n shop edit configmap conf",
        shows=["configmap/conf edited"],
    )
    _patch_guard(stage, '{"spec":{"drift":{"restore":true}}}')
    stage.wait_for_guards("shop-config")


def restored(stage: staging.Stage) -> None:
    """Without the webhook every edit passes, and is undone at once."""
    stage.screen.heading("The webhook is stopped: nothing is refused any more, and all is restored")
    began = staging.now()
    with stage.screen.step("Stopping `holdfast webhook`"):
        stage.holdfast.stop_webhook()
    stage.run(f"kubectl -n shop set image deployment web web={IMAGE}:latest", shows=["updated"])
    stage.run("kubectl -n shop scale deployment web --replicas=1", shows=["scaled"])
    stage.run(
        "EDITOR='sed -i s/info/debug/' kubectl -n shop edit configmap conf",
        shows=["configmap/conf edited"],
    )
    stage.run(
        """kubectl -n shop patch coupon spring --type=merge -p '{"spec":{"percent":80}}'""",
        shows=["spring patched"],
    )
    stage.run("kubectl -n shop label deployment worker tier-", shows=["unlabeled"])
    stage.run("EDITOR=change-password kubectl -n shop edit secret db", shows=["secret/db edited"])
    stage.run("kubectl -n shop delete service web", shows=['"web" deleted'])
    stage.run("kubectl -n shop delete rolebinding worker-reads-coupons", shows=["deleted"])
    stage.wait_for_records(
        "Restored",
        [
            "Deployment shop/web",
            "ConfigMap shop/conf",
            "Coupon shop/spring",
            "Deployment shop/worker",
            "Secret shop/db",
            "Service shop/web",
            "RoleBinding shop/worker-reads-coupons",
        ],
        since=began,
    )
    stage.wait_for_guards("shop-prod", "shop-config")
    stage.screen.say("How long each one lasted, from the watch event to the answer that ended it:")
    stage.run(
        f"holdfast audit --since {staging.typed(began)} --verdict Restored",
        shows=[":latest", "spec.replicas 3 -> 1", "created again in", " ms"],
        hides=["not put back"],
    )
    stage.run(
        "kubectl -n shop get deployment/web service/web coupon/spring configmap/conf secret/db",
        shows=["deployment.apps/web", "service/web", "coupon.shop.example/spring"],
    )
    with stage.screen.step("Starting `holdfast webhook` again"):
        stage.holdfast.start_webhook()


def pushed(stage: staging.Stage) -> None:
    """The way to change something is a commit."""
    stage.screen.heading("The way to change something is a commit")
    stage.run("sed -i 's/replicas: 3/replicas: 4/; s/web:1.4.2/web:1.5.0/' apps/web.yaml")
    stage.run("git diff --unified=0", shows=["+  replicas: 4", f"+          image: {IMAGE}:1.5.0"])
    stage.run("git commit --quiet --all --message='web 1.5.0, on four replicas'")
    began = time.monotonic()
    stage.run("git push --quiet origin main")
    stage.wait_for_guards("shop-prod", "shop-config")
    seconds = time.monotonic() - began
    stage.screen.say(f"The source is asked every second; {seconds:.1f} s after the push:")
    stage.run("holdfast status", shows=[f"main@{stage.commit()[:7]}", "Synced"])
    stage.run(
        "kubectl -n shop get deployment web "
        "-o custom-columns=NAME:.metadata.name,REPLICAS:.spec.replicas,"
        "IMAGE:.spec.template.spec.containers[0].image",
        shows=[" 4 ", f"{IMAGE}:1.5.0"],
    )
    stage.refused(
        "kubectl -n shop scale deployment web --replicas=3", shows=["Git 4", stage.commit()[:7]]
    )


def told(stage: staging.Stage) -> None:
    """The audit log has it all, and no secret."""
    stage.screen.heading("The audit log tells the story")
    stage.check_secrecy()
    stage.run(
        "holdfast audit",
        shows=["Denied", "Flagged", "Restored", "Reported", "alice", "spec.replicas 3 -> 5"],
    )


ACTS: Final = (git_and_guards, refused, passes, flagged, restored, pushed, told)


def keep(stage: staging.Stage) -> None:
    """Leave everything running, say how to play with it, and wait for Ctrl-C."""
    file = stage.write_exports()
    webhook, guard = stage.holdfast.webhook, stage.holdfast.guard
    stage.screen.heading("It is yours now, until you press Ctrl-C here")
    stage.screen.answer(f"""
In another terminal:

  . {file}
  cd {stage.clone}

and you are alice, with kubectl, holdfast and git as above. Nothing else on this machine is touched.

  kubeconfig     {stage.environment["KUBECONFIG"]}
  repository     {stage.url}, cloned to {stage.clone}
  a commit       edit a file below apps/ or config/, git commit -a, git push: applied within 1 s
  no webhook     kill {webhook.pid if webhook else "(it does not run)"}
  no guard       kill {guard.pid if guard else "(it does not run)"}
  logs           {stage.folder}/webhook.log, {stage.folder}/guard.log
  stop           Ctrl-C in this terminal; everything is removed
""")
    while True:
        time.sleep(1.0)  # not signal.pause: it misses a signal that comes just before it


def _patch_guard(stage: staging.Stage, patch: str) -> None:
    stage.run(
        f"kubectl -n shop patch guard shop-config --type=merge -p '{patch}'", shows=["patched"]
    )
    stage.wait_for_spec("shop-config")


def main() -> int:
    """Play the demo; give 0 if all happened as promised, else 1."""
    for number in staging.SIGNALS:
        signal.signal(number, signal.default_int_handler)
    terminal = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    screen = showing.Screen(sys.stdout, in_colour=terminal)
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    is_kept = False
    try:
        with staging.stage(screen, folder) as stage:
            try:
                for act in ACTS:
                    act(stage)
            except (staging.Unexpected, errors.ControlPlaneError, OSError) as error:
                print(f"\n{stage.log_ends()}\n\nThe demo failed: {error}", file=sys.stderr)
                return 1
            screen.say(f"All went as promised, in {time.monotonic() - began:.0f} s.")
            if os.environ.get("KEEP"):
                is_kept = True
                keep(stage)
    except (staging.Unexpected, errors.ControlPlaneError, OSError) as error:
        print(f"\nThe demo could not start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; everything is removed.")
        return 0 if is_kept else INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
