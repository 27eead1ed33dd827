/// A running 128-bit digest for identifiers that follow from content. It guards against nothing but chance.
struct Digest {
    private var low: UInt64 = 0x9E37_79B9_7F4A_7C15
    private var high: UInt64 = 0xC2B2_AE3D_27D4_EB4F

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        add(UInt64(bytes.count))
        let words = bytes.count / 8
        for index in 0..<words {
            add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self)))
        }
        for index in words * 8..<bytes.count { add(UInt64(bytes[index])) }
    }

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

    private mutating func add(_ word: UInt64) {
        low = (low ^ word) &* 0x9E37_79B1_85EB_CA87
        low ^= low >> 29
        high = (high &+ low ^ word) &* 0xC2B2_AE3D_27D4_EB4F
        high ^= high >> 32
    }

    /// Written like a UUID of version 8, the one for own schemes.
    var identifier: String {
        func hexadecimal(_ value: UInt64) -> String {
            let digits = String(value, radix: 16, uppercase: true)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        var digits = Array(hexadecimal(low) + hexadecimal(high))
        digits[12] = "8"
        digits[16] = "A"
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
    }
}
