# By ID, fingerprint or label, or by the address of the key in Bitbucket:
terraform import bitbucket_deploy_key.example acme/website/10958984
terraform import bitbucket_deploy_key.example acme/website/SHA256:ipnn0P300uPRisyuLgmWzcplDidyXAlZrdbVHDj/dJg
terraform import bitbucket_deploy_key.example acme/website/label:CI
terraform import bitbucket_deploy_key.example https://bitbucket.org/acme/website/admin/access-keys/10958984
