package acceptance

import (
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/provider"
)

// root is the root of the repository.
const root = "../.."

func TestMain(m *testing.M) { acctest.Main(m, provider.NewServer) }
