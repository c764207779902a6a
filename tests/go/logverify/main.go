// Checks our audit log with golang.org/x/mod/sumdb, which we did not write.
//
//	logverify checkpoint VKEY FOLDER [OLDER-CHECKPOINT]
//	    the signed checkpoint, the root drawn from the tiles, every entry proved from them, and the older checkpoint continued
//	logverify proof VKEY FILE [WITNESS-VKEY]
//	    a tlog-proof: the signed checkpoint, and the entry in its tree; cosigned by the witness when one is given
//	logverify cosigned VKEY FILE WITNESS-VKEY
//	    a checkpoint that a witness cosigned (C2SP tlog-cosignature, Ed25519)
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) >= 3 && args[0] == "checkpoint" {
		return checkFolder(args[1], args[2], args[3:])
	}
	if len(args) >= 3 && args[0] == "proof" {
		return checkProof(args[1], args[2], args[3:])
	}
	if len(args) == 4 && args[0] == "cosigned" {
		signed, err := ioutil.ReadFile(args[2])
		if err != nil {
			return err
		}
		tree, err := open(args[1], signed, args[3])
		if err != nil {
			return err
		}
		fmt.Println("size", tree.N, "cosigned")
		return nil
	}
	return fmt.Errorf("usage: logverify checkpoint VKEY FOLDER [OLDER] | proof VKEY FILE [WITNESS] | cosigned VKEY FILE WITNESS")
}

// witness is the public key of a cosigner: note.Verifier over `cosignature/v1`, which the note package does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

const cosignature = 4

func newWitness(vkey string) (*witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("not a vkey")
	}
	hash, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	if len(key) != 1+ed25519.PublicKeySize || key[0] != cosignature || binary.BigEndian.Uint32(sum[:]) != uint32(hash) {
		return nil, fmt.Errorf("not the vkey of a witness")
	}
	return &witness{parts[0], uint32(hash), ed25519.PublicKey(key[1:])}, nil
}

func (w *witness) Name() string    { return w.name }
func (w *witness) KeyHash() uint32 { return w.hash }

func (w *witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(w.key, []byte(message), signature[8:])
}

// open checks a signed checkpoint, and its cosignatures by the witnesses given, and gives the tree that it names.
// tlog.ParseTree wants the origin of Go's own database.
func open(vkey string, signed []byte, witnesses ...string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	verifiers := []note.Verifier{verifier}
	for _, each := range witnesses {
		known, err := newWitness(each)
		if err != nil {
			return tlog.Tree{}, err
		}
		verifiers = append(verifiers, known)
	}
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(opened.Sigs) != len(verifiers) {
		return tlog.Tree{}, fmt.Errorf("%d of %d signatures", len(opened.Sigs), len(verifiers))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s", verifier.Name())
	}
	return tlog.ParseTree([]byte("go.sum database tree\n" + lines[1] + "\n" + lines[2] + "\n"))
}

// tiles reads tiles from a folder in the layout of C2SP tlog-tiles, which leaves out the height.
type tiles struct{ folder string }

func (t tiles) Height() int { return height }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) path(tile tlog.Tile) string {
	path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
	return filepath.Join(t.folder, strings.Replace(path, "tile/data/", "tile/entries/", 1))
}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := ioutil.ReadFile(t.path(tile))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (t tiles) entries(tile tlog.Tile) ([][]byte, error) {
	data, err := ioutil.ReadFile(t.path(tile))
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for len(data) >= 2 {
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			return nil, fmt.Errorf("a bundle that ends early")
		}
		found, data = append(found, data[2:2+length]), data[2+length:]
	}
	if len(data) != 0 || len(found) != tile.W {
		return nil, fmt.Errorf("a bundle of another length")
	}
	return found, nil
}

func checkFolder(vkey, folder string, older []string) error {
	signed, err := ioutil.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := open(vkey, signed)
	if err != nil {
		return err
	}
	files := tiles{folder}
	// TileHashReader refuses every tile that does not lead to the signed root.
	reader := tlog.TileHashReader(tree, files)
	proved := int64(0)
	for start := int64(0); start < tree.N; start += 1 << height {
		width := tree.N - start
		if width > 1<<height {
			width = 1 << height
		}
		entries, err := files.entries(tlog.Tile{H: height, L: -1, N: start >> height, W: int(width)})
		if err != nil {
			return err
		}
		for offset, entry := range entries {
			index := start + int64(offset)
			proof, err := tlog.ProveRecord(tree.N, index, reader)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
				return fmt.Errorf("entry %d: %v", index, err)
			}
			proved++
		}
	}
	for _, path := range older {
		kept, err := ioutil.ReadFile(path)
		if err != nil {
			return err
		}
		before, err := open(vkey, kept)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(tree.N, before.N, reader)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash); err != nil {
			return err
		}
		for _, hash := range proof {
			fmt.Println("consistency", hash)
		}
	}
	fmt.Println("size", tree.N, "entries", proved)
	return nil
}

func checkProof(vkey, path string, witnesses []string) error {
	data, err := ioutil.ReadFile(path)
	if err != nil {
		return err
	}
	parts := strings.SplitN(string(data), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("not a tlog-proof")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := open(vkey, []byte(parts[1]), witnesses...)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
		return err
	}
	fmt.Println("size", tree.N, "index", index)
	return nil
}
