# An import stores the IDs of all existing keys in key_ids. In the configuration, list the keys to keep.
terraform import bitbucket_project_deploy_keys_exclusive.web acme/WEB
# Or by the address of the page that lists the keys:
terraform import bitbucket_project_deploy_keys_exclusive.web https://bitbucket.org/acme/workspace/projects/WEB/settings/access-keys/
