"""The second control loop: source to etcd, and back again when etcd drifts."""
