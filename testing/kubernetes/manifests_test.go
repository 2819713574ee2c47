// Package kubernetes checks deploy/kubernetes as far as it goes without a cluster: against the types of
// Kubernetes and of the Prometheus operator, against itself, and its settings by the programs that read
// them.
package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

const folder = "../../deploy/kubernetes"

// Of the Secrets that docs/operating.md makes: their keys, and what stands for their values here.
var secrets = map[string]map[string]string{
	"bootstrap-identity": {
		"p2p.key": "",
		"peer-id": "12D3KooWD5RtEPmMR9Yb2ku5VuxqK7Yj1Y5Gv8DmffJ6Ei8maU44",
	},
	"proxy": {"redis-password": "0123", "ticket.pem": ""},
}

var kinds = map[string]func() meta.Object{
	"v1/Namespace":                  func() meta.Object { return &core.Namespace{} },
	"v1/ConfigMap":                  func() meta.Object { return &core.ConfigMap{} },
	"v1/Service":                    func() meta.Object { return &core.Service{} },
	"apps/v1/Deployment":            func() meta.Object { return &apps.Deployment{} },
	"apps/v1/StatefulSet":           func() meta.Object { return &apps.StatefulSet{} },
	"policy/v1/PodDisruptionBudget": func() meta.Object { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy": func() meta.Object {
		return &networking.NetworkPolicy{}
	},
	"monitoring.coreos.com/v1/ServiceMonitor": func() meta.Object { return &monitoring.ServiceMonitor{} },
}

// What the tool of that name reads; its own types would bring a hundred packages.
type kustomization struct {
	meta.TypeMeta `json:",inline"`
	Namespace     string   `json:"namespace"`
	Resources     []string `json:"resources"`
	Images        []struct {
		Name   string `json:"name"`
		NewTag string `json:"newTag"`
	} `json:"images"`
}

func decode(document []byte) (meta.Object, error) {
	var kind meta.TypeMeta
	if err := strict.Unmarshal(document, &kind); err != nil {
		return nil, err
	}
	name := kind.APIVersion + "/" + kind.Kind
	empty, known := kinds[name]
	if !known {
		return nil, fmt.Errorf("%s is of no kind that is known here", name)
	}
	object := empty()
	return object, strict.UnmarshalStrict(document, object)
}

func kustomized(t *testing.T) kustomization {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var read kustomization
	if err := strict.UnmarshalStrict(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func manifests(t *testing.T) []meta.Object {
	t.Helper()
	var all []meta.Object
	for _, name := range kustomized(t).Resources {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
		for {
			document := make([]byte, len(text))
			length, err := documents.Read(document)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			object, err := decode(document[:length])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, object)
		}
	}
	return all
}

func of[T meta.Object](all []meta.Object) []T {
	var some []T
	for _, object := range all {
		if object, is := object.(T); is {
			some = append(some, object)
		}
	}
	return some
}

// What makes pods.
type workload struct {
	name     string
	selector *meta.LabelSelector
	pod      core.PodTemplateSpec
	claims   []core.PersistentVolumeClaim
}

func workloads(all []meta.Object) []workload {
	var some []workload
	for _, set := range of[*apps.StatefulSet](all) {
		some = append(some, workload{set.Name, set.Spec.Selector, set.Spec.Template, set.Spec.VolumeClaimTemplates})
	}
	for _, set := range of[*apps.Deployment](all) {
		some = append(some, workload{set.Name, set.Spec.Selector, set.Spec.Template, nil})
	}
	return some
}

func chosen(t *testing.T, selector *meta.LabelSelector, all []workload) []workload {
	t.Helper()
	matches, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	var some []workload
	for _, one := range all {
		if matches.Matches(labels.Set(one.pod.Labels)) {
			some = append(some, one)
		}
	}
	return some
}

func (w workload) hasPort(port intstr.IntOrString) bool {
	for _, container := range w.pod.Spec.Containers {
		for _, open := range container.Ports {
			if (port.Type == intstr.String && open.Name == port.StrVal) ||
				(port.Type == intstr.Int && open.ContainerPort == port.IntVal) {
				return true
			}
		}
	}
	return false
}

func TestEveryFileIsListedAndDecodesStrictly(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	listed := kustomized(t)
	for _, file := range files {
		name := filepath.Base(file)
		if name != "kustomization.yaml" && !slices.Contains(listed.Resources, name) {
			t.Errorf("%s is not among the resources of kustomization.yaml", name)
		}
	}
	names := map[string]bool{}
	for _, object := range manifests(t) {
		name := fmt.Sprintf("%s %s", reflect.TypeOf(object), object.GetName())
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
		if _, is := object.(*core.Namespace); !is && object.GetNamespace() != listed.Namespace {
			t.Errorf("%s is in namespace %q", name, object.GetNamespace())
		}
	}
}

func TestAMisspeltFieldAndAnUnknownKindAreRefused(t *testing.T) {
	for document, part := range map[string]string{
		"apiVersion: v1\nkind: Service\nspec:\n  selektor: {}\n":                       "selektor",
		"apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: many\n":             "replicas",
		"apiVersion: v1\nkind: Service\nmetadata: {}\nmetadata: {}\n":                  "metadata",
		"apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata: {name: x}\n": "policy/v1beta1",
	} {
		if _, err := decode([]byte(document)); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %v", document, err)
		}
	}
}

func TestWhatSelectsPodsFindsThemAndTheirPorts(t *testing.T) {
	all := manifests(t)
	pods := workloads(all)
	for _, one := range pods {
		if len(chosen(t, one.selector, []workload{one})) != 1 {
			t.Errorf("%s does not select its own pods", one.name)
		}
	}
	for _, service := range of[*core.Service](all) {
		found := chosen(t, &meta.LabelSelector{MatchLabels: service.Spec.Selector}, pods)
		if len(found) == 0 {
			t.Errorf("service %s selects nothing", service.Name)
		}
		for _, port := range service.Spec.Ports {
			for _, one := range found {
				if !one.hasPort(port.TargetPort) {
					t.Errorf("service %s: %s has no port %s", service.Name, one.name, port.TargetPort.String())
				}
			}
		}
	}
	for _, budget := range of[*policy.PodDisruptionBudget](all) {
		if len(chosen(t, budget.Spec.Selector, pods)) == 0 {
			t.Errorf("budget %s selects nothing", budget.Name)
		}
	}
	for _, rules := range of[*networking.NetworkPolicy](all) {
		found := chosen(t, &rules.Spec.PodSelector, pods)
		for _, rule := range rules.Spec.Ingress {
			for _, from := range rule.From {
				if from.PodSelector != nil && len(chosen(t, from.PodSelector, pods)) == 0 {
					t.Errorf("policy %s lets nobody in", rules.Name)
				}
			}
			for _, port := range rule.Ports {
				for _, one := range found {
					if !one.hasPort(*port.Port) {
						t.Errorf("policy %s: %s has no port %s", rules.Name, one.name, port.Port.String())
					}
				}
			}
		}
		if len(found) == 0 {
			t.Errorf("policy %s selects nothing", rules.Name)
		}
	}
}

func TestEachMonitorFindsAServiceWithItsPort(t *testing.T) {
	all := manifests(t)
	monitors := of[*monitoring.ServiceMonitor](all)
	if len(monitors) == 0 {
		t.Fatal("no monitors")
	}
	for _, monitor := range monitors {
		matches, err := meta.LabelSelectorAsSelector(&monitor.Spec.Selector)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, service := range of[*core.Service](all) {
			for _, port := range service.Spec.Ports {
				found = found || (matches.Matches(labels.Set(service.Labels)) && port.Name == monitor.Spec.Endpoints[0].Port)
			}
		}
		if !found {
			t.Errorf("monitor %s finds no service with port %s", monitor.Name, monitor.Spec.Endpoints[0].Port)
		}
	}
}

func TestPodsAreRestrictedAndProbed(t *testing.T) {
	for _, one := range workloads(manifests(t)) {
		spec := one.pod.Spec
		if spec.SecurityContext == nil || spec.SecurityContext.RunAsNonRoot == nil || !*spec.SecurityContext.RunAsNonRoot {
			t.Errorf("%s may run as root", one.name)
		}
		// A Service would otherwise set variables such as PROXY_PORT.
		if spec.EnableServiceLinks == nil || *spec.EnableServiceLinks {
			t.Errorf("%s is given variables of Services", one.name)
		}
		for _, container := range spec.Containers {
			security := container.SecurityContext
			if security == nil || security.AllowPrivilegeEscalation == nil || *security.AllowPrivilegeEscalation ||
				security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem ||
				security.Capabilities == nil || !slices.Contains(security.Capabilities.Drop, "ALL") {
				t.Errorf("%s may do more than it needs", one.name)
			}
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s has no limit of memory or asks for no CPU", one.name)
			}
			for _, probe := range []*core.Probe{container.LivenessProbe, container.ReadinessProbe} {
				if probe == nil {
					t.Errorf("%s is not probed", one.name)
				} else if probe.HTTPGet != nil && !one.hasPort(probe.HTTPGet.Port) {
					t.Errorf("%s is probed at a port it has not", one.name)
				} else if probe.TCPSocket != nil && !one.hasPort(probe.TCPSocket.Port) {
					t.Errorf("%s is probed at a port it has not", one.name)
				}
			}
		}
	}
}

func TestWhatIsMountedIsThere(t *testing.T) {
	for _, one := range workloads(manifests(t)) {
		volumes := map[string]bool{}
		for _, claim := range one.claims {
			volumes[claim.Name] = true
		}
		for _, volume := range one.pod.Spec.Volumes {
			volumes[volume.Name] = true
			if volume.Secret == nil {
				continue
			}
			keys, known := secrets[volume.Secret.SecretName]
			if !known {
				t.Errorf("%s: no Secret %s", one.name, volume.Secret.SecretName)
			}
			for _, item := range volume.Secret.Items {
				if _, known := keys[item.Key]; !known {
					t.Errorf("%s: no %s in Secret %s", one.name, item.Key, volume.Secret.SecretName)
				}
			}
		}
		for _, container := range one.pod.Spec.Containers {
			for _, mount := range container.VolumeMounts {
				if !volumes[mount.Name] {
					t.Errorf("%s mounts %s, which is nowhere", one.name, mount.Name)
				}
			}
		}
	}
}

// The variables of a container, as it gets them.
func environment(t *testing.T, name string, container core.Container, maps []*core.ConfigMap) map[string]string {
	t.Helper()
	set := map[string]string{}
	for _, from := range container.EnvFrom {
		at := slices.IndexFunc(maps, func(m *core.ConfigMap) bool { return m.Name == from.ConfigMapRef.Name })
		if at < 0 {
			t.Fatalf("%s: no ConfigMap %s", name, from.ConfigMapRef.Name)
		}
		for key, value := range maps[at].Data {
			set[key] = value
		}
	}
	for _, variable := range container.Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			from := variable.ValueFrom.SecretKeyRef
			secret, known := secrets[from.Name][from.Key]
			if !known {
				t.Errorf("%s: no %s in Secret %s", name, from.Key, from.Name)
			}
			value = secret
		}
		for other, text := range set {
			value = strings.ReplaceAll(value, "$("+other+")", text)
		}
		if strings.Contains(value, "$(") {
			t.Errorf("%s: %s refers to what is not set before it: %s", name, variable.Name, value)
		}
		set[variable.Name] = value
	}
	return set
}

func TestTheProgramsTakeTheirSettings(t *testing.T) {
	programs := os.Getenv("PROGRAMS")
	if programs == "" {
		t.Fatal("PROGRAMS must name the folder of p2pnode and proxy; make kubernetes does")
	}
	all := manifests(t)
	checked := 0
	for _, one := range workloads(all) {
		for _, container := range one.pod.Spec.Containers {
			if container.Image != "p2pnode" && container.Image != "proxy" {
				continue
			}
			checked++
			program := filepath.Join(programs, container.Image)
			help, err := exec.Command(program, "--help").CombinedOutput()
			if err != nil {
				t.Fatalf("%s --help: %v\n%s", program, err, help)
			}
			check := exec.Command(program, "--check")
			check.Env = []string{}
			for name, value := range environment(t, one.name, container, of[*core.ConfigMap](all)) {
				// Only there to be put into others.
				if name == "BOOTSTRAP_PEER_ID" || name == "REDIS_PASSWORD" {
					continue
				}
				if !strings.Contains(string(help), name) {
					t.Errorf("%s sets %s, which %s does not know", one.name, name, container.Image)
				}
				// The file comes with the Secret.
				if name != "TICKET_SIGNING_KEY" {
					check.Env = append(check.Env, name+"="+value)
				}
			}
			if said, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", one.name, err, said)
			}
		}
	}
	if checked != 3 {
		t.Errorf("%d workloads of ours were checked, not bootstrap, p2pnode and proxy", checked)
	}
}

// Whoever adds a node adds it to the proxies too.
func TestProxiesKnowEveryNode(t *testing.T) {
	all := manifests(t)
	var names []string
	for _, set := range of[*apps.StatefulSet](all) {
		for number := range *set.Spec.Replicas {
			names = append(names, fmt.Sprintf("%s-%d.%s:33212", set.Name, number, set.Spec.ServiceName))
		}
	}
	for _, set := range of[*apps.Deployment](all) {
		for _, variable := range set.Spec.Template.Spec.Containers[0].Env {
			if variable.Name == "P2P_NODES" && variable.Value != strings.Join(names, ",") {
				t.Errorf("proxies know %s, but there are %s", variable.Value, strings.Join(names, ","))
			}
		}
	}
}
