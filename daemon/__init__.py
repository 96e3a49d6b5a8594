"""The service and the command `dualface`: share, jobs, worker processes, configuration, status. No codecs, no tensors.

The modules at this level serve all packages and import none of them. Each package imports only from those before it:
pages, config, share, worker, inbox, jobs, status, observability, diagnostics, service, cli. Begin at `service/main.py`.
"""
