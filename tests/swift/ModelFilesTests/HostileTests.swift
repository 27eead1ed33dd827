import Foundation
import MIL
import Testing

@testable import ModelFiles

/// Files that are broken, or mean harm. Whatever they hold, reading ends with a sentence.
@Suite struct HostileTests {
    @Test func pathsThatAreNoPackage() throws {
        let folder = try Fixtures.scratch()
        #expect(try refusal { _ = try readModel(at: folder + "/none.mlpackage") }.kind == .notFound)
        #expect(try refusal { _ = try readModel(at: folder) }.message.contains("Manifest.json"))
        #expect(try refusal { _ = try readModel(at: folder + "/\0") }.kind == .notFound)
        #expect(try refusal { _ = try readModel(at: #filePath) }.message.contains("is a file"))
        let compiled = folder + "/x.mlmodelc"
        try FileManager.default.createDirectory(atPath: compiled, withIntermediateDirectories: true)
        #expect(try refusal { _ = try readModel(at: compiled) }.kind == .unsupported)
    }

    @Test(arguments: [
        "", "{", "[]", "{}", "{\"fileFormatVersion\": 1}", "{\"fileFormatVersion\": \"1.0.0\"}",
        "{\"fileFormatVersion\": \"1.0.0\", \"rootModelIdentifier\": \"A\"}",
        "{\"fileFormatVersion\": \"1.0.0\", \"rootModelIdentifier\": \"A\", \"itemInfoEntries\": {}}",
        "{\"fileFormatVersion\": \"1.0.0\", \"rootModelIdentifier\": \"A\", \"itemInfoEntries\": {\"A\": {\"path\": 3}}}",
        "{\"fileFormatVersion\": \"9\", \"rootModelIdentifier\": \"A\", \"itemInfoEntries\": {\"A\": {\"path\": \"x\"}}}",
    ])
    func brokenManifests(_ text: String) throws {
        let copy = try Fixtures.copy()
        try copy.write(text, to: copy.manifest)
        let failure = try copy.failure()
        #expect(failure.kind == .malformed)
        #expect(failure.message.contains(copy.path))
    }

    @Test(arguments: [
        "../../outside", "/etc/passwd", "a/../../../outside", "link/../../outside", "nothing", "", "x\\u0000y",
    ])
    func manifestsThatLeadElsewhere(_ item: String) throws {
        let copy = try Fixtures.copy()
        let outside = try Fixtures.scratch()
        try copy.write(copy.bytes(copy.model), to: outside + "/model.mlmodel")
        try FileManager.default.createSymbolicLink(atPath: copy.path + "/Data/link", withDestinationPath: outside)
        try copy.write(
            "{\"fileFormatVersion\": \"1.0.0\", \"rootModelIdentifier\": \"A\", \"itemInfoEntries\": {\"A\": {\"path\": \"\(item)\"}}}",
            to: copy.manifest)
        #expect([.malformed, .notFound].contains(try copy.failure().kind))
    }

    @Test func linksAreFollowedOrRefused() throws {
        let copy = try Fixtures.copy()
        let outside = try Fixtures.scratch() + "/weight.bin"
        try FileManager.default.moveItem(atPath: copy.weights, toPath: outside)
        #expect(try copy.failure().kind == .notFound)
        try FileManager.default.createSymbolicLink(atPath: copy.weights, withDestinationPath: outside)
        #expect(try readModel(at: copy.path).source?.files.contains(copy.weights) == true)
        let failure = try refusal { _ = try readModel(at: copy.path, links: .refuse) }
        #expect(failure.kind == .malformed)
        #expect(failure.message.contains("'\(copy.weights)' is a symbolic link"))
        try FileManager.default.removeItem(atPath: copy.weights)
        try FileManager.default.moveItem(atPath: outside, toPath: copy.weights + "2")
        try FileManager.default.createSymbolicLink(atPath: copy.weights, withDestinationPath: "weight.bin2")
        _ = try readModel(at: copy.path)
    }

    /// The weights lie below a folder that is a link: a change of them is noticed all the same.
    @Test func linkedFolders() throws {
        let copy = try Fixtures.copy()
        let folder = String(copy.weights.dropLast("/weight.bin".count))
        let outside = try Fixtures.scratch() + "/weights"
        try FileManager.default.moveItem(atPath: folder, toPath: outside)
        try FileManager.default.createSymbolicLink(atPath: folder, withDestinationPath: outside)
        let source = try #require(try readModel(at: copy.path).source)
        #expect(source.files.contains(copy.weights))
        #expect(source.isCurrent)
        try copy.change(outside + "/weight.bin") { $0.append(0) }
        #expect(!source.isCurrent)
    }

    @Test func gitPointers() throws {
        let copy = try Fixtures.copy()
        for file in [copy.weights, copy.model, copy.manifest] {
            try copy.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", to: file)
            #expect(try copy.failure().message.contains("git lfs pull"))
        }
    }

    /// The first record of the fixture lies at 64, its data at 128.
    @Test(arguments: [
        ("cut to nothing", 0, 0, 0), ("cut in the record", 100, 0, 0), ("cut in the data", 150, 0, 0),
        ("version", 4, 1, 1),
        ("mark", 64, 1, 0), ("type", 68, 1, 2), ("size", 72, 1, 1), ("size", 79, 1, 0x7f), ("offset", 80, 1, 1),
        ("offset", 80, 1, 0), ("offset", 86, 1, 0xff), ("offset", 87, 1, 0xff),
    ])
    func brokenWeights(_ what: String, _ position: Int, _ isByte: Int, _ value: Int) throws {
        let copy = try Fixtures.copy()
        try copy.change(copy.weights) { bytes in
            if isByte == 1 { bytes[position] = UInt8(value) } else { bytes.removeSubrange(position...) }
        }
        #expect(try copy.failure().kind == .malformed, "\(what)")
    }

    @Test func offsetsOfRecords() throws {
        let copy = try Fixtures.copy()
        let file = try WeightFile(copy.weights)
        let type = TensorType(.float16, [4, 3, 3, 3])
        #expect(try file.tensor(type, at: 64).count == 108)
        for offset: UInt64 in [0, 1, 63, 65, 96, 128, 1 << 20, 1 << 63, .max, .max - 63] {
            #expect(try refusal { _ = try file.tensor(type, at: offset) }.kind == .malformed)
        }
        #expect(
            try refusal { _ = try file.tensor(TensorType(.float32, [54]), at: 64) }.message.contains("declares fp32"))
        #expect(try refusal { _ = try file.tensor(TensorType(.float16, [107]), at: 64) }.kind == .malformed)
        #expect(try refusal { _ = try file.tensor(TensorType(.float64, [27]), at: 64) }.kind == .unsupported)
    }

    @Test(arguments: Fixtures.all) func descriptionsCutAnywhere(_ name: String) throws {
        let copy = try Fixtures.copy(name)
        let bytes = try copy.bytes(copy.model)
        for length in 0..<bytes.count {
            let part = Array(bytes[..<length])
            #expect(throws: Failure.self) { try readDescription(part) }
        }
    }

    /// Flipped bits may leave a model that is right; it must only never trap, hang or eat memory.
    @Test(arguments: Fixtures.all) func descriptionsWithFlippedBits(_ name: String) throws {
        let copy = try Fixtures.copy(name)
        let original = try copy.bytes(copy.model)
        let weights = try? WeightFile(copy.weights)
        let path = copy.weights
        var random = SplitMix(state: 20)
        for _ in 0..<4000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            _ = try? bytes.withUnsafeBytes { try SpecReader.model($0) { _ in weights == nil ? "" : path } }
        }
    }

    @Test func otherKindsAreNamed() throws {
        for (kind, name) in [
            (402, "treeEnsembleClassifier"), (500, "neuralNetwork"), (2002, "visionFeaturePrint"), (4711, "kind 4711"),
        ] {
            let bytes = try description(kind: kind) { _ in }
            let failure = try refusal { _ = try readDescription(bytes) }
            #expect(failure.kind == .unsupported)
            #expect(failure.message.contains("'\(name)'"))
        }
    }

    private func program(_ block: (inout ProtobufWriter) -> Void, _ input: (inout ProtobufWriter) -> Void = { _ in })
        throws -> [UInt8]
    {
        try description { function in
            input(&function)
            function.string(2, "CoreML7")
            function.entry(3, "CoreML7", block)
        }
    }

    private func inputs(_ input: (inout ProtobufWriter) -> Void) throws -> [UInt8] { try program({ _ in }, input) }

    @Test func tensorsTooLargeForAnyone() throws {
        for shape in [[1 << 40], [1 << 31, 1 << 31, 1 << 31], [0, 1 << 30, 1 << 30], [Int.max]] {
            let bytes = try inputs { function in
                function.message(1) { input in
                    input.string(1, "x")
                    input.message(2) { type in
                        type.message(1) { tensor in
                            tensor.int(1, 11)
                            tensor.int(2, shape.count)
                            for size in shape { tensor.message(3) { $0.message(1) { $0.int(1, size) } } }
                        }
                    }
                }
            }
            #expect(try refusal { _ = try readDescription(bytes) }.kind == .outOfMemory)
        }
    }

    @Test func bombsOfNesting() throws {
        typealias Write = (inout ProtobufWriter) -> Void
        func nest(
            _ depth: Int, _ writer: inout ProtobufWriter,
            _ step: @escaping (inout ProtobufWriter, @escaping Write) -> Void
        ) {
            if depth > 0 { step(&writer) { nest(depth - 1, &$0, step) } }
        }
        let types = try inputs { function in
            function.message(1) { input in
                input.string(1, "x")
                input.message(2) { nest(2000, &$0) { writer, inner in writer.message(2) { $0.message(1, inner) } } }
            }
        }
        #expect(try refusal { _ = try readDescription(types) }.message.contains("deeper"))
        let blocks = try program { block in
            nest(2000, &block) { writer, inner in
                writer.message(3) { operation in
                    operation.string(1, "cond")
                    operation.message(4, inner)
                }
            }
        }
        #expect(try refusal { _ = try readDescription(blocks) }.message.contains("deeper"))
    }

    /// `relu` of `x`, its result named by the test.
    private func relu(_ name: String, of input: String, _ block: inout ProtobufWriter) {
        block.message(3) { operation in
            operation.string(1, "relu")
            operation.entry(2, "x") { $0.message(1) { $0.string(1, input) } }
            operation.message(3) { output in
                output.string(1, name)
                try? output.message(2) { try $0.type(.tensor(TensorType(.float32, [2]))) }
            }
        }
    }

    private func input(_ name: String, _ function: inout ProtobufWriter) {
        function.message(1) { input in
            input.string(1, name)
            try? input.message(2) { try $0.type(.tensor(TensorType(.float32, [2]))) }
        }
    }

    @Test(arguments: [("x", "x", "two values"), ("", "x", "no name"), ("y", "z", "before a value has it")])
    func namesTwiceOrNowhere(_ output: String, _ used: String, _ words: String) throws {
        let bytes = try program({ relu(output, of: used, &$0) }, { input("x", &$0) })
        let failure = try refusal { _ = try readDescription(bytes) }
        #expect(failure.kind == .malformed)
        #expect(failure.message.contains(words))
    }

    @Test func valuesOfNestedBlocksStayInside() throws {
        let bytes = try program(
            { block in
                block.message(3) { operation in
                    operation.string(1, "cond")
                    operation.message(4) { nested in relu("inner", of: "x", &nested) }
                    operation.message(4) { nested in relu("inner", of: "x", &nested) }
                }
                relu("y", of: "inner", &block)
            }, { input("x", &$0) })
        #expect(try refusal { _ = try readDescription(bytes) }.message.contains("outside of its block"))
    }

    @Test func allUnknownOpsAreNamedAtOnce() throws {
        let bytes = try program { block in
            for (index, op) in ["nonsense", "folly", "nonsense"].enumerated() {
                block.message(3) { operation in
                    operation.string(1, op)
                    operation.message(3) { output in
                        output.string(1, "out\(index)")
                        try? output.message(2) { try $0.type(.tensor(TensorType(.float32, [2]))) }
                    }
                }
            }
        }
        let failure = try refusal { _ = try readDescription(bytes) }
        #expect(failure.kind == .unsupported)
        #expect(failure.message.contains("'nonsense' (2 times, first 'out0' of function 'main')"))
        #expect(failure.message.contains("'folly' (1 times, first 'out1' of function 'main')"))
    }

    @Test func declaredTypesMustFollow() throws {
        let bytes = try description(inputs: [Feature("x", .multiArray(.init(.float32, [3])))]) { function in
            function.message(1) { input in
                input.string(1, "x")
                try? input.message(2) { try $0.type(.tensor(TensorType(.float32, [3]))) }
            }
            function.string(2, "CoreML7")
            function.entry(3, "CoreML7") { relu("y", of: "x", &$0) }
        }
        let failure = try refusal { _ = try readDescription(bytes) }
        #expect(failure.kind == .malformed)
        #expect(failure.message.contains("op 'relu' (y)"))
        #expect(failure.message.contains("[2]") && failure.message.contains("[3]"))
    }

    @Test func opsetsOfTheFuture() throws {
        let bytes = try description { function in
            function.string(2, "CoreML99")
            function.entry(3, "CoreML99") { _ in }
        }
        #expect(try refusal { _ = try readDescription(bytes) }.kind == .unsupported)
        let missing = try description { function in
            function.string(2, "CoreML7")
            function.entry(3, "CoreML6") { _ in }
        }
        #expect(try refusal { _ = try readDescription(missing) }.message.contains("no block for its opset"))
    }
}
